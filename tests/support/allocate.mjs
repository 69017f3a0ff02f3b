// Allocates memory without writing it.
import { Tensor } from 'diffusion-cross-attention';

const typedArrayPrototype = Object.getPrototypeOf(Float32Array.prototype);

/** Zeros that are never read. */
let source = new Float32Array(0);

/**
 * Returns a float32 tensor of this length with undefined values: `set` does not copy the source. Writing 4 GB
 * would take 25 seconds, mostly for page faults.
 */
export function allocate(length) {
  if (source.length < length) source = new Float32Array(length);
  const { set } = typedArrayPrototype;
  typedArrayPrototype.set = function (values, offset) {
    if (values.buffer !== source.buffer) set.call(this, values, offset);
  };
  try {
    return Tensor.from(source.subarray(0, length), [length]);
  } finally {
    typedArrayPrototype.set = set;
  }
}
