// Sums over the tokens of values [outer][tokens][features], or of products of values and factors. `lanes`
// invocations share a feature.
struct Parameters {
  tokens: u32,
  features: u32,
  tokenStride: u32,
  // In `sums`: of the first one, and from one outer row to the next.
  offset: u32,
  outerStride: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
#if hasFactors
@group(0) @binding(3) var<storage, read> factors: array<f32>;
#end

override workgroupSize: u32;
override lanes: u32;
// If true, sums are added to what `sums` contains.
override accumulates: bool;
override groupFeatures = workgroupSize / lanes;
#if hasLanes
var<workgroup> partial: array<f32, workgroupSize>;
#end

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let feature = group.x * groupFeatures + invocation % groupFeatures;
  let lane = invocation / groupFeatures;
  var sum = 0.0;
  if (feature < p.features) {
    for (var token = lane; token < p.tokens; token += lanes) {
      let index = (group.y * p.tokens + token) * p.tokenStride + feature;
#if hasFactors
      sum += values[index] * factors[index];
#else
      sum += values[index];
#end
    }
  }
#if hasLanes
  partial[invocation] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    for (var other = 1u; other < lanes; other++) { sum += partial[other * groupFeatures + invocation]; }
  }
#end
  if (lane == 0u && feature < p.features) {
    let index = p.offset + group.y * p.outerStride + feature;
    if (accumulates) {
      sums[index] += sum;
    } else {
      sums[index] = sum;
    }
  }
}
