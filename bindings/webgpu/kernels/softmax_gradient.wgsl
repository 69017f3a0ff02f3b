// The gradient of softmax, in place: scores become P, gradients of probabilities become dS.
// After scores.wgsl and mask.wgsl.
// Based on: Dao et al., FlashAttention (2022), algorithm 4: P = exp(S - logSumExp), dS = P ∘ (dP - delta) ·
// scale.
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>;
@group(0) @binding(5) var<storage, read> delta: array<f32>;

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let token = group.x * workgroupSize + invocation;
  if (token >= p.tokens) { return; }
  let key = group.y;
  let index = group.z * p.scoresBatch + key * p.scoresStride + token;
  if (key >= p.keys) {
    scores[index] = 0.0;
    gradients[index] = 0.0;
    return;
  }
  let statistics = p.statisticsOffset + group.z * p.statisticsBatch + token;
  let outer = group.z / p.inner;
  let inner = group.z % p.inner;
  let score = masked(p.scale * scores[index], outer, inner, p.firstToken + token, key);
  // A recomputed score may be rounded to more than the score that went into logSumExp: probabilities are
  // clamped to 1.
  let probability = select(0.0, exp(clamp(score - logSumExp[statistics], -120.0, 0.0)), score > hidden);
  scores[index] = probability;
  gradients[index] = probability * (gradients[index] - delta[statistics]) * p.scale;
}
