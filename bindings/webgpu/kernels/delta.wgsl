// delta [outer · inner][tokens] = Σ over channels of a ∘ b, both [outer · inner][headDim][tokens].
struct Parameters {
  tokens: u32,
  headDim: u32,
  stride: u32,
  batch: u32,
  deltaBatch: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> delta: array<f32>;

override workgroupSize: u32;

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let token = group.x * workgroupSize + invocation;
  if (token >= p.tokens) { return; }
  var sum = 0.0;
  for (var channel = 0u; channel < p.headDim; channel++) {
    let index = group.y * p.batch + channel * p.stride + token;
    sum += a[index] * b[index];
  }
  delta[group.y * p.deltaBatch + token] = sum;
}
