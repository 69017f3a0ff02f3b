// Which keys a token sees. A score that is hidden is the lowest number there is: infinities are none in WGSL, where an
// implementation may take for granted that there are none (WGSL, section 15.7.2).
import { parameterStruct } from './kernel';

/** none; a key mask [B | 1, L] of ones and zeros; or numbers [B | 1, heads | 1, N | 1, L] that are added to the scores. */
export type MaskKind = 'none' | 'keys' | 'additive';

export const maskParameters = ['maskOffset', 'maskOuter', 'maskInner', 'maskToken'] as const;

/** Declares the mask at a binding, and `masked(score, outer, inner, token, key)`. Parameters: maskParameters. */
export function maskFunction(kind: MaskKind, binding: number): string {
  const hidden = 'const hidden = -3.4028234e38;\nconst lowest = -3.402e38;\n';
  if (kind === 'none') {
    return `${hidden}fn masked(score: f32, outer: u32, inner: u32, token: u32, key: u32) -> f32 { return max(score, lowest); }\n`;
  }
  const element =
    'mask[p.maskOffset + outer * p.maskOuter + inner * p.maskInner + token * p.maskToken + key]';
  // -infinity is told by its bits; -FLT_MAX, which some libraries write instead of it, is an ordinary number.
  const visible =
    kind === 'keys'
      ? `select(hidden, max(score, lowest), ${element} != 0u)`
      : `select(max(score + bitcast<f32>(${element}), lowest), hidden, ${element} == 0xff800000u)`;
  return `${hidden}@group(0) @binding(${binding}) var<storage, read> mask: array<u32>;
fn masked(score: f32, outer: u32, inner: u32, token: u32, key: u32) -> f32 { return ${visible}; }\n`;
}

/**
 * Of a kernel that goes through scores in memory, [outer · inner][paddedKeys][tokens], those of a part of the tokens.
 * `paddedKeys`: rows of keys in memory, those after `keys` become zeros. `firstToken`: of this part, for the mask.
 * `statistics`: numbers [outer · inner][all tokens] that go with the scores.
 */
export const scoreParameters = [
  'tokens',
  'keys',
  'paddedKeys',
  'inner',
  'scoresStride',
  'scoresBatch',
  'firstToken',
  'statisticsOffset',
  'statisticsBatch',
  'scale',
] as const;

/** parameterStruct of a kernel with a mask. */
export const maskedStruct = (names: readonly string[], floats: readonly string[]): string =>
  parameterStruct([...names, ...maskParameters], floats);
