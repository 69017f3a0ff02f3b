// Copies of tensors between WASM memory and GPU memory.
import type { CallTensors } from './accelerator';
import type { Location } from './resident';
import { getGpuMemory } from './runtime';
import type { Tensor } from './tensor';

/**
 * Calls `work` with the tensors in WASM memory: at once, if none is in GPU memory. Those in GPU memory are
 * read back, as they are now, and the copies disposed afterwards.
 */
export async function withTensorsInWasm<T>(
  { input, context, mask }: CallTensors,
  work: (tensors: CallTensors) => Promise<T> | T,
): Promise<T> {
  const tensors = [input, context, mask];
  if (tensors.every((tensor) => tensor?.location !== 'webgpu')) return work({ input, context, mask });
  const copies = tensors.map((tensor) => (tensor?.location === 'webgpu' ? tensor.to('wasm') : null));
  const settled = await Promise.allSettled(copies);
  try {
    const [first, second, third] = await Promise.all(copies);
    return await work({ input: first ?? input, context: second ?? context, mask: third ?? mask });
  } finally {
    for (const copy of settled) if (copy.status === 'fulfilled') copy.value?.dispose();
  }
}

/**
 * Moves a result from WASM memory to the requested location. If the upload fails, the result stays in WASM
 * memory: every call accepts it there, too.
 */
export async function moveTo(location: Location, result: Tensor): Promise<Tensor> {
  if (location === 'wasm' || getGpuMemory()?.isAvailable !== true) return result;
  try {
    const moved = await result.to(location);
    result.dispose();
    return moved;
  } catch {
    return result;
  }
}
