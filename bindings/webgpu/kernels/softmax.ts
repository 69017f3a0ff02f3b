// softmax over the keys of scores that are in memory, [outer · inner][keys][tokens], in place. An invocation takes the
// scores of a token, so that neighbours read neighbours. A token that sees no key gets zeros.
import type { Kernel } from './kernel';
import { type MaskKind, maskedStruct, maskFunction, scoreParameters } from './mask';

export interface SoftmaxKernel {
  mask: MaskKind;
  /** Whether log Σ exp(score) of each token is kept, [outer · inner][tokens], for the backward. */
  keepsLogSumExp: boolean;
}

export const softmaxWorkgroup = 64;

/** Bindings: parameters, scores, mask (where there is one), logSumExp (where it is kept). Workgroups: tokens, outer · inner. */
export function softmaxKernel({ mask, keepsLogSumExp }: SoftmaxKernel): Kernel {
  const kept = keepsLogSumExp
    ? '@group(0) @binding(3) var<storage, read_write> logSumExp: array<f32>;\n'
    : '';
  const keep = keepsLogSumExp
    ? `logSumExp[p.statisticsOffset + group.y * p.statisticsBatch + token] = select(hidden, maximum + log(max(sum, 1e-37)), sum > 0.0);`
    : '';
  const code = (): string => `${maskedStruct(scoreParameters, ['scale'])}${maskFunction(mask, 2)}${kept}
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(${softmaxWorkgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
let token = group.x * ${softmaxWorkgroup}u + invocation;
if (token >= p.tokens) { return; }
let outer = group.y / p.inner;
let inner = group.y % p.inner;
let base = group.y * p.scoresBatch + token;
var maximum = hidden;
for (var key = 0u; key < p.keys; key++) {
  let at = base + key * p.scoresStride;
  let score = masked(p.scale * scores[at], outer, inner, p.firstToken + token, key);
  scores[at] = score;
  maximum = max(maximum, score);
}
var sum = 0.0;
for (var key = 0u; key < p.keys; key++) {
  let at = base + key * p.scoresStride;
  let score = scores[at];
  let exponential = select(0.0, exp(max(score - maximum, -120.0)), score > hidden);
  scores[at] = exponential;
  sum += exponential;
}
${keep}
let inverse = select(0.0, 1.0 / sum, sum > 0.0);
for (var key = 0u; key < p.keys; key++) { scores[base + key * p.scoresStride] *= inverse; }
for (var key = p.keys; key < p.paddedKeys; key++) { scores[base + key * p.scoresStride] = 0.0; }
}`;
  return { label: `softmax, mask ${mask}${keepsLogSumExp ? ', logSumExp' : ''}`, code };
}
