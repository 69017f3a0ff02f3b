// Flash attention, forward. A workgroup processes 64 tokens of a head and loops over the keys in blocks, with
// an online softmax in float32; scores never leave the workgroup. All operands are channels first,
// [headDim][tokens or keys]. Before mask.wgsl.
// Based on: Dao et al., FlashAttention (2022), algorithm 1, with the loops exchanged as in Dao,
// FlashAttention-2 (2023).
//
// A workgroup has `columns` × `rows` invocations. Invocations of a column share four tokens; each of them
// computes 4·keyFours scores of a block and holds 4·outputFours channels of the output.
struct Parameters {
  tokens: u32,
  keys: u32,
  inner: u32,
  queryStride: u32,
  queryOuter: u32,
  queryInner: u32,
  keyStride: u32,
  keyOuter: u32,
  keyInner: u32,
  outputStride: u32,
  outputOuter: u32,
  outputInner: u32,
  logSumExpBatch: u32,
  scale: f32,
  maskOffset: u32,
  maskOuter: u32,
  maskInner: u32,
  maskToken: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;
#if storesLogSumExp
@group(0) @binding(6) var<storage, read_write> logSumExp: array<vec4f>;
#end

override headDim: u32;
override columns: u32;
override rows: u32;
override blockKeys: u32;
// Channels of query and key in workgroup memory at a time.
override stageChannels: u32;
// Keys whose values are in workgroup memory at a time.
override valueKeys: u32;
override groupTokens = 4u * columns;
override invocations = columns * rows;
// The part of `stage` that holds the query; the key follows.
override queryStage = stageChannels * groupTokens / 4u;
override keyStage = stageChannels * blockKeys / 4u;
override stageSize = max(queryStage + keyStage, valueKeys * headDim / 4u);
override scoresSize = blockKeys * groupTokens / 4u;
const ownKeys = 4u * ${keyFours}u;
const ownChannels = 4u * ${outputFours}u;

var<workgroup> stage: array<vec4f, stageSize>;
var<workgroup> scores: array<vec4f, scoresSize>;

@compute @workgroup_size(columns, rows)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let column = local.x;
  let row = local.y;
  let invocation = row * columns + column;
  let outer = group.y / p.inner;
  let inner = group.y % p.inner;
  let queryBase = outer * p.queryOuter + inner * p.queryInner;
  let keyBase = outer * p.keyOuter + inner * p.keyInner;
  let outputBase = outer * p.outputOuter + inner * p.outputInner;
  let firstToken = group.x * groupTokens;
  let token = firstToken + 4u * column;
  var maximum = vec4f(hidden);
  var sum = vec4f();
#for four in 0..outputFours
#for lane in 0..4
  var o${four}_${lane} = vec4f();
#end
#end

  for (var firstKey = 0u; firstKey < p.keys; firstKey += blockKeys) {
    // Scores of the block, of this invocation's keys and four tokens.
#for four in 0..keyFours
#for lane in 0..4
    var s${four}_${lane} = vec4f();
#end
#end
    for (var first = 0u; first < headDim; first += stageChannels) {
      for (var index = invocation; index < queryStage; index += invocations) {
        let channel = first + index / (groupTokens / 4u);
        let token = firstToken + index % (groupTokens / 4u) * 4u;
        var four = vec4f();
        if (channel < headDim && token < p.tokens) {
          four = query[(queryBase + channel * p.queryStride + token) >> 2u];
        }
        stage[index] = four;
      }
      for (var index = invocation; index < keyStage; index += invocations) {
        let channel = first + index / (blockKeys / 4u);
        let keyIndex = firstKey + index % (blockKeys / 4u) * 4u;
        var four = vec4f();
        if (channel < headDim && keyIndex < p.keys) {
          four = key[(keyBase + channel * p.keyStride + keyIndex) >> 2u];
        }
        stage[queryStage + index] = four;
      }
      workgroupBarrier();
      for (var channel = 0u; channel < stageChannels; channel++) {
        let q = stage[channel * (groupTokens / 4u) + column];
#for four in 0..keyFours
        let k${four} = stage[queryStage + channel * (blockKeys / 4u) + row * (ownKeys / 4u) + ${four}u];
#for lane in 0..4
        s${four}_${lane} += q * k${four}[${lane}];
#end
#end
      }
      workgroupBarrier();
    }
#for four in 0..keyFours
#for keyLane in 0..4
    {
      let keyIndex = firstKey + row * ownKeys + ${four}u * 4u + ${keyLane}u;
      let keyForMask = min(keyIndex, p.keys - 1u);
      let lastToken = p.tokens - 1u;
      let maskedScores = vec4f(
#for lane in 0..4
        masked(
          p.scale * s${four}_${keyLane}[${lane}], outer, inner, min(token + ${lane}u, lastToken), keyForMask
        ),
#end
      );
      s${four}_${keyLane} = select(vec4f(hidden), maskedScores, keyIndex < p.keys);
      let stageIndex = (row * ownKeys + ${four}u * 4u + ${keyLane}u) * (groupTokens / 4u) + column;
      scores[stageIndex] = s${four}_${keyLane};
    }
#end
#end
    workgroupBarrier();
    var newMaximum = maximum;
    for (var keyIndex = 0u; keyIndex < blockKeys; keyIndex++) {
      newMaximum = max(newMaximum, scores[keyIndex * (groupTokens / 4u) + column]);
    }
    workgroupBarrier();
#for four in 0..keyFours
#for lane in 0..4
    scores[(row * ownKeys + ${four}u * 4u + ${lane}u) * (groupTokens / 4u) + column] = select(
      vec4f(),
      exp(max(s${four}_${lane} - newMaximum, vec4f(-120.0))),
      s${four}_${lane} > vec4f(hidden),
    );
#end
#end
    let rescale = exp(max(maximum - newMaximum, vec4f(-120.0)));
    maximum = newMaximum;
    sum *= rescale;
#for four in 0..outputFours
#for lane in 0..4
    o${four}_${lane} *= rescale;
#end
#end
    for (var block = 0u; block < blockKeys; block += valueKeys) {
      // Values are channels first in memory; in workgroup memory the channels of a key are contiguous: 4 × 4
      // blocks are transposed.
      for (var index = invocation; index < headDim * valueKeys / 16u; index += invocations) {
        let channelFour = index / (valueKeys / 4u);
        let keyIndex = index % (valueKeys / 4u) * 4u;
        var v = mat4x4f();
        if (firstKey + block + keyIndex < p.keys) {
          let first = keyBase + 4u * channelFour * p.keyStride + firstKey + block + keyIndex;
          v = transpose(mat4x4f(
            value[first >> 2u],
            value[(first + p.keyStride) >> 2u],
            value[(first + 2u * p.keyStride) >> 2u],
            value[(first + 3u * p.keyStride) >> 2u],
          ));
        }
        for (var lane = 0u; lane < 4u; lane++) {
          stage[(keyIndex + lane) * (headDim / 4u) + channelFour] = v[lane];
        }
      }
      workgroupBarrier();
      for (var keyIndex = 0u; keyIndex < valueKeys; keyIndex++) {
        let e = scores[(block + keyIndex) * (groupTokens / 4u) + column];
        sum += e;
#for four in 0..outputFours
        let v${four} =
          stage[keyIndex * (headDim / 4u) + min(row * (ownChannels / 4u) + ${four}u, headDim / 4u - 1u)];
#for lane in 0..4
        o${four}_${lane} += e * v${four}[${lane}];
#end
#end
      }
      workgroupBarrier();
    }
  }

  if (token >= p.tokens) { return; }
  let inverse = select(vec4f(), 1.0 / sum, sum > vec4f());
#for four in 0..outputFours
#for lane in 0..4
  {
    let channel = row * ownChannels + ${four}u * 4u + ${lane}u;
    if (channel < headDim) {
      output[(outputBase + channel * p.outputStride + token) >> 2u] = o${four}_${lane} * inverse;
    }
  }
#end
#end
#if storesLogSumExp
  if (row == 0u) {
    logSumExp[(group.y * p.logSumExpBatch + token) >> 2u] =
      select(vec4f(hidden), maximum + log(max(sum, vec4f(1e-37))), sum > vec4f());
  }
#end
}
