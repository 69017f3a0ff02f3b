// What an AttentionRecorder must return, in float64 from the maps of attentionMaps.
import { resizeBicubic } from './bicubic.mjs';

/**
 * Returns the sums of a call: { values: height × width, weight }. `maps`: the data of [batch, heads, length,
 * height · width]; `keys` of one group; `rows`: 'all' or 'conditional'.
 */
export function sumsOfMaps(maps, { batch, numHeads, length, height, width }, keys, rows = 'all') {
  const tokens = height * width;
  const values = new Float64Array(tokens);
  const first = rows === 'all' ? 0 : batch / 2;
  for (let row = first; row < batch; ++row) {
    for (let head = 0; head < numHeads; ++head) {
      for (const key of keys) {
        const begin = ((row * numHeads + head) * length + key) * tokens;
        for (let token = 0; token < tokens; ++token) values[token] += maps[begin + token];
      }
    }
  }
  return { values, weight: numHeads * (batch - first), height, width };
}

/** Returns the heat map of names, each a list of the sums of its calls, which have one size. */
export function heatMapOf(names, size, { normalize = false } = {}) {
  const mean = new Float64Array(size * size);
  for (const calls of names) {
    const { height, width } = calls[0];
    const total = calls[0].values.map((_, index) => calls.reduce((sum, call) => sum + call.values[index], 0));
    const weight = calls.reduce((sum, call) => sum + call.weight, 0);
    resizeBicubic(total, height, width, size, size).forEach((value, index) => {
      mean[index] += Math.max(value, 0) / weight / names.length;
    });
  }
  const divisor = normalize ? Math.max(...mean) : 1;
  return mean.map((value) => value / divisor);
}
