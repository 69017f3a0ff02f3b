import { checkInteger, checkNotNegative, checkShare, fail, readOptions } from '../checks';
import { getCore } from './runtime';

export interface LearningRateOptions {
  /** The maximum learning rate. Default 0.0005. */
  max?: number;
  /** @deprecated Use max. */
  most?: number;
  /** Steps of the linear warm-up. Default 300. */
  warmUp?: number;
  /** Steps of the whole training. */
  steps: number;
  /** Share of the steps, at the end, over which the rate decays to zero as a cosine, 0 to 1. Default 0.5. */
  fall?: number;
}

/**
 * Returns the learning rate of a step in the schedule of `npm run train`, for `Trainer.step`. Throws
 * ArgumentError.
 */
export function learningRate(step: number, options: LearningRateOptions): number {
  if (typeof options !== 'object' || options === null) fail('options', options, 'an object with steps');
  const given = readOptions('options', options, ['most', 'max', 'warmUp', 'steps', 'fall']);
  const { most = 0.0005, max = most, warmUp = 300, steps, fall = 0.5 } = given;
  checkInteger('step', step, 0, Number.MAX_SAFE_INTEGER);
  checkNotNegative('max', max);
  checkInteger('warmUp', warmUp, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('steps', steps, 1, Number.MAX_SAFE_INTEGER);
  checkShare('fall', fall);
  return getCore().learningRate(step, max, warmUp, steps, fall);
}
