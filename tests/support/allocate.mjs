// Allocates memory without writing it.
import { Tensor } from 'diffusion-cross-attention';

/**
 * Returns a float32 tensor of this length with undefined values. Tensor.from copies an array that has no
 * elements but claims this `length`. Writing 4 GB would take 25 seconds, mostly for page faults.
 */
export const allocate = (length) =>
  Tensor.from(Object.defineProperty(new Float32Array(0), 'length', { value: length }), [length]);
