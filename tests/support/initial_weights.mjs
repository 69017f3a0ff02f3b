// The layer's initial weights by their definition, computed with BigInt: Xavier-uniform (Glorot and Bengio,
// 2010), drawn from xoshiro256++ (Blackman and Vigna, 2018), seeded by splitmix64.

const mask = (1n << 64n) - 1n;
const rotateLeft = (value, count) => ((value << count) | (value >> (64n - count))) & mask;

function xoshiro(seed) {
  let mixing = BigInt(seed);
  const state = Array.from({ length: 4 }, () => {
    mixing = (mixing + 0x9e3779b97f4a7c15n) & mask;
    let mixed = mixing;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask;
    return mixed ^ (mixed >> 31n);
  });
  return () => {
    const result = (rotateLeft((state[0] + state[3]) & mask, 23n) + state[0]) & mask;
    const shifted = (state[1] << 17n) & mask;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotateLeft(state[3], 45n);
    return result;
  };
}

/**
 * Returns the flat parameters in float64: weights [outFeatures, inFeatures] within ±√(6 / (in + out)), and a
 * zero bias.
 */
export function initialWeights(queryDim, contextDim, seed) {
  const next = xoshiro(seed);
  const uniform = () => Number(next() >> 11n) * 2 ** -53;
  const weight = (outFeatures, inFeatures) => {
    const bound = Math.sqrt(6 / (inFeatures + outFeatures));
    return Array.from({ length: outFeatures * inFeatures }, () => bound * (2 * uniform() - 1));
  };
  return Float64Array.from([
    ...weight(queryDim, queryDim),
    ...weight(queryDim, contextDim),
    ...weight(queryDim, contextDim),
    ...weight(queryDim, queryDim),
    ...new Array(queryDim).fill(0),
  ]);
}
