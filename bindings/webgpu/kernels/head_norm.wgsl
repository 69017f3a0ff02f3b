// Normalizes each head's channels of each token, channels first, in place. One invocation processes one token
// of one head: neighbouring invocations read neighbouring tokens.
struct Parameters {
  tokens: u32,
  // Elements from one channel to the next.
  stride: u32,
  headDim: u32,
  batchStride: u32,
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
#if isLayerNorm
@group(0) @binding(3) var<storage, read> bias: array<f32>;
#end

override workgroupSize: u32;

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let token = group.x * workgroupSize + invocation;
  if (token >= p.tokens) { return; }
  let first = group.z * p.batchStride + group.y * p.headDim * p.stride + token;
  var mean = 0.0;
#if isLayerNorm
  for (var channel = 0u; channel < p.headDim; channel++) { mean += values[first + channel * p.stride]; }
  mean /= f32(p.headDim);
#end
  var squares = 0.0;
  for (var channel = 0u; channel < p.headDim; channel++) {
    let centered = values[first + channel * p.stride] - mean;
    squares += centered * centered;
  }
  let deviation = sqrt(squares / f32(p.headDim) + p.epsilon);
  for (var channel = 0u; channel < p.headDim; channel++) {
    let index = first + channel * p.stride;
    let normalized = (values[index] - mean) / deviation * weight[channel];
#if isLayerNorm
    values[index] = normalized + bias[channel];
#else
    values[index] = normalized;
#end
  }
}
