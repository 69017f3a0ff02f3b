// The gradient of softmax (Dao et al., 2022, algorithm 4): P = exp(S - logSumExp) and dS = P ∘ (dP - delta) · scale, with
// delta = Σ_d dO ∘ O of each token. In place: scores become P, probability gradients become dS.
import { type Kernel, parameterStruct } from './kernel';
import { type MaskKind, maskedStruct, maskFunction, scoreParameters } from './mask';

export const softmaxGradientWorkgroup = 64;

/** Bindings: parameters, scores, mask (where there is one), gradients, logSumExp, delta. Workgroups: tokens, keys, outer · inner. */
export function softmaxGradientKernel(mask: MaskKind): Kernel {
  const code = (): string => `${maskedStruct(scoreParameters, ['scale'])}${maskFunction(mask, 2)}
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>;
@group(0) @binding(5) var<storage, read> delta: array<f32>;

@compute @workgroup_size(${softmaxGradientWorkgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
let token = group.x * ${softmaxGradientWorkgroup}u + invocation;
if (token >= p.tokens) { return; }
let key = group.y;
let at = group.z * p.scoresBatch + key * p.scoresStride + token;
if (key >= p.keys) {
  scores[at] = 0.0;
  gradients[at] = 0.0;
  return;
}
let statistics = p.statisticsOffset + group.z * p.statisticsBatch + token;
let score = masked(p.scale * scores[at], group.z / p.inner, group.z % p.inner, p.firstToken + token, key);
// At most 1: a score that is computed again may be rounded to more than what logSumExp was made of.
let probability = select(0.0, exp(clamp(score - logSumExp[statistics], -120.0, 0.0)), score > hidden);
scores[at] = probability;
gradients[at] = probability * (gradients[at] - delta[statistics]) * p.scale;
}`;
  return { label: `softmax gradient, mask ${mask}`, code };
}

export const deltaParameters = ['tokens', 'headDim', 'stride', 'batch', 'deltaBatch'] as const;

/** delta [outer · inner][tokens] = Σ_d a ∘ b of [outer · inner][headDim][tokens]. Workgroups: tokens, outer · inner. */
export function deltaKernel(): Kernel {
  const code = (): string => `${parameterStruct(deltaParameters)}
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> delta: array<f32>;

@compute @workgroup_size(${softmaxGradientWorkgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
let token = group.x * ${softmaxGradientWorkgroup}u + invocation;
if (token >= p.tokens) { return; }
var sum = 0.0;
for (var channel = 0u; channel < p.headDim; channel++) {
  let at = group.y * p.batch + channel * p.stride + token;
  sum += a[at] * b[at];
}
delta[group.y * p.deltaBatch + token] = sum;
}`;
  return { label: 'delta', code };
}
