// Parameters of kernels over scores in memory, [outer · inner][paddedKeys][tokens], for a chunk of all
// tokens.
struct Parameters {
  // Of the chunk.
  tokens: u32,
  keys: u32,
  // Rows of keys in memory; the kernels write zeros to those after `keys`.
  paddedKeys: u32,
  // Heads: workgroups along the batch are outer · inner.
  inner: u32,
  scoresStride: u32,
  scoresBatch: u32,
  // The chunk's first token, which the mask counts from.
  firstToken: u32,
  // Statistics are [outer · inner][all tokens].
  statisticsOffset: u32,
  statisticsBatch: u32,
  scale: f32,
  maskOffset: u32,
  maskOuter: u32,
  maskInner: u32,
  maskToken: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;

override workgroupSize: u32;
