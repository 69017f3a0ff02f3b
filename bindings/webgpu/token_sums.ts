// Sums over tokens, or over batch rows, as commands.
import { tokenSumFeatures, tokenSumKernel, tokenSumLanes } from './kernels/token_sums';
import type { Binding, Recorder } from './recorder';

/** Of values [outer][tokens][features]: [outer][features]. */
export interface TokenSum {
  outer: number;
  tokens: number;
  features: number;
  /** Elements from a token to the next; default: features. */
  tokenStride?: number;
  values: Binding;
  /** Multiplied by these, element by element. */
  factors?: Binding;
  /** Where sums are written, or added to what is there. */
  target: { binding: Binding; adds: boolean };
  /** In the target, of the first sum and from one outer row to the next; default 0, features. */
  offset?: number;
  outerStride?: number;
}

export function sumTokens(recorder: Recorder, given: TokenSum): void {
  const { outer, tokens, features, tokenStride = features, values, factors, target } = given;
  const { offset = 0, outerStride = features } = given;
  const lanes = tokenSumLanes(tokens, features);
  recorder.dispatch(
    tokenSumKernel({ hasFactors: factors !== undefined, adds: target.adds, lanes }),
    [tokens, features, tokenStride, offset, outerStride],
    [],
    [values, target.binding, factors ?? null],
    [Math.ceil(features / tokenSumFeatures(lanes)), outer, 1],
  );
}
