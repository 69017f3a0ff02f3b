// Copies the rows of a context, with zeros for those that the mask hides from all tokens, heads and batch
// rows that share the context: the product of NaN and a probability of zero is NaN. Elements are copied as
// bits. A workgroup copies a row.
struct Parameters {
  keys: u32,
  channels: u32,
  // Workgroups along x; the key is x + y * keysPerLine.
  keysPerLine: u32,
  // In `source`: of the first element, and from one row, channel, context row to the next.
  sourceOffset: u32,
  keyStride: u32,
  channelStride: u32,
  sourceOuter: u32,
  // Batch rows that share a context row, and how many different mask rows there are for heads and tokens.
  sharers: u32,
  heads: u32,
  tokens: u32,
  // As in mask.wgsl.
  maskOffset: u32,
  maskOuter: u32,
  maskInner: u32,
  maskToken: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
// [context rows][keys][channels]
@group(0) @binding(3) var<storage, read_write> visible: array<u32>;

override workgroupSize: u32;
var<workgroup> found: atomic<u32>;

// True if the mask's element lets a token attend to the key: see mask.wgsl.
fn attends(bits: u32) -> bool {
#if mask == keys
  return bits != 0u;
#else
  return bits != 0xff800000u;
#end
}

@compute @workgroup_size(workgroupSize)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let key = group.x + group.y * p.keysPerLine;
  let contextRow = group.z;
  if (key < p.keys) {
    let count = p.sharers * p.heads * p.tokens;
    for (var index = invocation; index < count && atomicLoad(&found) == 0u; index += workgroupSize) {
      let token = index % p.tokens;
      let head = index / p.tokens % p.heads;
      let batchRow = contextRow + index / (p.tokens * p.heads);
      let at = p.maskOffset + batchRow * p.maskOuter + head * p.maskInner + token * p.maskToken + key;
      if (attends(mask[at])) { atomicStore(&found, 1u); }
    }
  }
  workgroupBarrier();
  let isVisible = atomicLoad(&found) != 0u;
  if (key >= p.keys) { return; }
  let first = p.sourceOffset + contextRow * p.sourceOuter + key * p.keyStride;
  let begin = (contextRow * p.keys + key) * p.channels;
  for (var channel = invocation; channel < p.channels; channel += workgroupSize) {
    visible[begin + channel] = select(0u, source[first + channel * p.channelStride], isVisible);
  }
}
