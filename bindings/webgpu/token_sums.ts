// Commands that sum over tokens, or over batch rows.
import { tokenSumFeatures, tokenSumKernel, tokenSumLanes } from './kernels/token_sums';
import type { Binding, Recorder } from './recorder';

/** Sums [outer][features] of values [outer][tokens][features]. */
export interface TokenSum {
  outer: number;
  tokens: number;
  features: number;
  /** Elements from one token to the next. Default: features. */
  tokenStride?: number;
  values: Binding;
  /** Multiplied with the values, element by element. */
  factors?: Binding;
  /** `adds`: true to add the sums to what the target contains. */
  target: { binding: Binding; adds: boolean };
  /** Of the first sum in the target. Default: 0. */
  offset?: number;
  /** Elements in the target from one outer row to the next. Default: features. */
  outerStride?: number;
}

export function sumTokens(recorder: Recorder, sum: TokenSum): void {
  const { outer, tokens, features, tokenStride = features, values, factors, target } = sum;
  const { offset = 0, outerStride = features } = sum;
  const lanes = tokenSumLanes(tokens, features);
  recorder.dispatch(
    tokenSumKernel({ hasFactors: factors !== undefined, accumulates: target.adds, lanes }),
    [tokens, features, tokenStride, offset, outerStride],
    [],
    [values, target.binding, factors ?? null],
    [Math.ceil(features / tokenSumFeatures(lanes)), outer, 1],
  );
}
