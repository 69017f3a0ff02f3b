// A layer whose weights are few enough to be looked at one by one, and what a file of its weights holds.
import { DiffusionCrossAttention } from './package.mjs';

export const names = ['to_q.weight', 'to_k.weight', 'to_v.weight', 'to_out.0.weight', 'to_out.0.bias'];
export const shapes = [[6, 6], [6, 4], [6, 4], [6, 6], [6]];

/** `own`: see scoped of cases.mjs. */
export const makeLayer = (own, options = {}) =>
  own(new DiffusionCrossAttention(6, 4, 2, 8, { seed: 1, ...options }));

/** Tensors of a file for all five parameters, of ones, twos and so on; `extra` more of them. */
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
