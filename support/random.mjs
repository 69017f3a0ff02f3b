// Pseudorandom numbers. The same seed gives the same numbers, so that failures are reproducible.

/** Returns a generator (mulberry32) of uniform numbers in [0, 1). */
export function uniformGenerator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const arrayTypeOf = (dtype) => (dtype === 'float32' ? Float32Array : Float64Array);

/** Returns normally distributed numbers with mean 0 and standard deviation `deviation` (Box–Muller). */
export function normalArray(size, seed, { dtype = 'float64', deviation = 1 } = {}) {
  const uniform = uniformGenerator(seed);
  const values = new (arrayTypeOf(dtype))(size);
  for (let index = 0; index < size; index += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    values[index] = radius * Math.cos(angle);
    // A write beyond the end of the array (odd sizes) has no effect.
    values[index + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** Returns an array of ones, with the given probability, and zeros. */
export function bitArray(size, seed, { probability = 0.7 } = {}) {
  const uniform = uniformGenerator(seed);
  const bits = new Array(size);
  for (let index = 0; index < size; ++index) bits[index] = uniform() < probability ? 1 : 0;
  return bits;
}
