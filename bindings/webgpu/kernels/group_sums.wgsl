// sums [rows][groups][tokens] of the probabilities of groups of keys over the heads, from queries, keys and
// log-sum-exp. After mask.wgsl. One invocation computes one sum: a recorder has few keys.
struct Parameters {
  tokens: u32,
  headDim: u32,
  heads: u32,
  groups: u32,
  // The batch row of the buffers that is recorded first.
  firstRow: u32,
  queryStride: u32,
  queryOuter: u32,
  queryInner: u32,
  keyStride: u32,
  keyOuter: u32,
  keyInner: u32,
  scale: f32,
  maskOffset: u32,
  maskOuter: u32,
  maskInner: u32,
  maskToken: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
// Binding 3: the mask, if any.
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>;
// For each group, the position of its first key in this buffer, and the end of the last group's; then the
// keys.
@group(0) @binding(5) var<storage, read> keys: array<u32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

override workgroupSize: u32;

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let token = group.x * workgroupSize + invocation;
  if (token >= p.tokens) { return; }
  let row = p.firstRow + group.y;
  var sum = 0.0;
  for (var index = keys[group.z]; index < keys[group.z + 1u]; index++) {
    for (var head = 0u; head < p.heads; head++) {
      let queryBase = row * p.queryOuter + head * p.queryInner + token;
      let keyBase = row * p.keyOuter + head * p.keyInner + keys[index];
      var score = 0.0;
      for (var channel = 0u; channel < p.headDim; channel++) {
        score += query[queryBase + channel * p.queryStride] * key[keyBase + channel * p.keyStride];
      }
      score = masked(p.scale * score, row, head, token, keys[index]);
      let total = logSumExp[(row * p.heads + head) * p.tokens + token];
      sum += select(0.0, exp(clamp(score - total, -120.0, 0.0)), score > hidden);
    }
  }
  sums[(group.y * p.groups + group.z) * p.tokens + token] = sum;
}
