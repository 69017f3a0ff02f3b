// Copies of tensors between WASM memory and GPU memory.
import type { CallTensors } from './accelerator';
import type { Location } from './resident';
import { getGpuMemory } from './runtime';
import type { Tensor } from './tensor';

/**
 * Calls `work` with the tensors in WASM memory. Those in GPU memory are read back, and the copies disposed
 * afterwards.
 */
export async function withTensorsInWasm<T>(
  { input, context, mask }: CallTensors,
  work: (tensors: CallTensors) => Promise<T> | T,
): Promise<T> {
  const copies: Tensor[] = [];
  const inWasm = async <U extends Tensor | null>(tensor: U): Promise<U> => {
    if (tensor === null || tensor.location === 'wasm') return tensor;
    copies.push(await tensor.to('wasm'));
    return copies.at(-1) as U;
  };
  try {
    return await work({
      input: await inWasm(input),
      context: await inWasm(context),
      mask: await inWasm(mask),
    });
  } finally {
    copies.forEach((copy) => copy.dispose());
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
