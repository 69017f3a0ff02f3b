// Memory that is allocated and not written.
import { Tensor } from 'diffusion-cross-attention';

/**
 * Returns a float32 tensor of this length whose values are undefined: Tensor.from copies an array without elements,
 * whatever its `length` says. Writing 4 GB costs 25 seconds, nearly all of them page faults.
 */
export const allocate = (length) =>
  Tensor.from(Object.defineProperty(new Float32Array(0), 'length', { value: length }), [length]);
