import { checkFinite, checkInteger, fail } from '../checks';
import { getCore } from './runtime';

export interface LearningRateOptions {
  /** The highest one. Default 0.0005. */
  most?: number;
  /** Steps over which it rises to that. Default 300. */
  warmUp?: number;
  /** Of the whole training. */
  steps: number;
  /** The share of them, at the end, over which it falls to zero as a cosine, 0 to 1. Default 0.5. */
  fall?: number;
}

/** The learning rate that `npm run train` takes after so many steps, for `Trainer.step`. Throws ArgumentError. */
export function learningRate(step: number, options: LearningRateOptions): number {
  if (typeof options !== 'object' || options === null) fail('options', options, 'an object with steps');
  const { most = 0.0005, warmUp = 300, steps, fall = 0.5 } = options;
  checkInteger('step', step, 0, Number.MAX_SAFE_INTEGER);
  if (checkFinite('most', most) < 0) fail('most', most, 'at least 0');
  checkInteger('warmUp', warmUp, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('steps', steps, 1, Number.MAX_SAFE_INTEGER);
  if (checkFinite('fall', fall) < 0 || fall > 1) fail('fall', fall, '0 to 1');
  return getCore().learningRate(step, most, warmUp, steps, fall);
}
