// Softmax over the keys of scores, in place. After scores.wgsl and mask.wgsl. One invocation processes one
// token, so that neighbours read neighbouring scores. A token that sees no key gets zeros.
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;
#if storesLogSumExp
@group(0) @binding(3) var<storage, read_write> logSumExp: array<f32>;
#end

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let token = group.x * workgroupSize + invocation;
  if (token >= p.tokens) { return; }
  let outer = group.y / p.inner;
  let inner = group.y % p.inner;
  let base = group.y * p.scoresBatch + token;
  var maximum = hidden;
  for (var key = 0u; key < p.keys; key++) {
    let index = base + key * p.scoresStride;
    let score = masked(p.scale * scores[index], outer, inner, p.firstToken + token, key);
    scores[index] = score;
    maximum = max(maximum, score);
  }
  var sum = 0.0;
  for (var key = 0u; key < p.keys; key++) {
    let index = base + key * p.scoresStride;
    let score = scores[index];
    let exponential = select(0.0, exp(max(score - maximum, -120.0)), score > hidden);
    scores[index] = exponential;
    sum += exponential;
  }
#if storesLogSumExp
  let statistics = p.statisticsOffset + group.y * p.statisticsBatch + token;
  logSumExp[statistics] = select(hidden, maximum + log(max(sum, 1e-37)), sum > 0.0);
#end
  let inverse = select(0.0, 1.0 / sum, sum > 0.0);
  for (var key = 0u; key < p.keys; key++) { scores[base + key * p.scoresStride] *= inverse; }
  for (var key = p.keys; key < p.paddedKeys; key++) { scores[base + key * p.scoresStride] = 0.0; }
}
