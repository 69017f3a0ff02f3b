// Tensors from one memory into the other, for calls that take them from a certain one.
import { accelerator, type CallTensors, type Location } from './accelerator';
import type { Tensor } from './tensor';

/** What `work` gives, of the same tensors in WASM memory: those in GPU memory are read back for it. */
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

/** A result where it is wanted, if that can be; else it stays where it is, for every call takes it from there, too. */
export async function putAt(location: Location, result: Tensor): Promise<Tensor> {
  if (location === 'wasm' || accelerator()?.isThere !== true) return result;
  try {
    const there = await result.to(location);
    result.dispose();
    return there;
  } catch {
    return result;
  }
}
