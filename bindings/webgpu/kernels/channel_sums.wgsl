// For each channel the sum over all tokens of all batch rows. One workgroup processes one channel.
#if hasSubgroups
enable subgroups;
#end
struct Parameters {
  channels: u32,
  tokens: u32,
  batch: u32,
  channelStride: u32,
  tokenStride: u32,
  batchStride: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

override workgroupSize: u32;
var<workgroup> partial: array<f32, workgroupSize>;

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let channel = group.x;
  var sum = 0.0;
  for (var row = 0u; row < p.batch; row++) {
    for (var token = invocation; token < p.tokens; token += workgroupSize) {
      sum += values[row * p.batchStride + channel * p.channelStride + token * p.tokenStride];
    }
  }
#if hasSubgroups
  // One number a subgroup, from its first invocation; the others add zeros. This works for every subgroup
  // size.
  let subgroupSum = subgroupAdd(sum);
  partial[invocation] = select(0.0, subgroupSum, subgroupElect());
  workgroupBarrier();
  var total = 0.0;
  if (invocation == 0u) {
    for (var index = 0u; index < workgroupSize; index++) { total += partial[index]; }
  }
#else
  partial[invocation] = sum;
  workgroupBarrier();
  for (var half = workgroupSize / 2u; half > 0u; half >>= 1u) {
    if (invocation < half) { partial[invocation] += partial[invocation + half]; }
    workgroupBarrier();
  }
  let total = partial[0];
#end
  if (invocation == 0u) { sums[channel] = total; }
}
