// A layer with few weights, so that tests can check each weight, and the tensors of a file for it.
import { DiffusionCrossAttention } from './package.mjs';

export const names = ['to_q.weight', 'to_k.weight', 'to_v.weight', 'to_out.0.weight', 'to_out.0.bias'];
export const shapes = [[6, 6], [6, 4], [6, 4], [6, 6], [6]];

/** Creates the layer. `own`: see scoped in cases.mjs. */
export const makeLayer = (own, options = {}) =>
  own(new DiffusionCrossAttention(6, 4, 2, 8, { seed: 1, ...options }));

/**
 * Returns the tensors of a file for all five parameters, filled with 1, 2, …, 5. `extra`: additional tensors.
 */
export const fileTensors = (extra = {}, prefix = '') => ({
  ...Object.fromEntries(
    names.map((name, index) => {
      const count = shapes[index].reduce((a, b) => a * b, 1);
      return [
        prefix + name,
        { dtype: 'F32', shape: shapes[index], values: new Array(count).fill(index + 1) },
      ];
    }),
  ),
  ...extra,
});
