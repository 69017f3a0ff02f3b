// Rounds float32 numbers to float16, two in each 32 bits.
struct Parameters {
  pairs: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> singles: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> halves: array<u32>;

override workgroupSize: u32;
// Workgroups along x.
override gridWidth: u32;

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let index = (group.y * gridWidth + group.x) * workgroupSize + invocation;
  if (index < p.pairs) { halves[index] = pack2x16float(singles[index]); }
}
