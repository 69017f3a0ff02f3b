// Flash attention forward (Dao et al., 2022, algorithm 1, with the loops exchanged as in Dao, 2023): a workgroup takes 64
// tokens of a head and goes through the keys in blocks, with an online softmax in float32; scores never leave the workgroup.
// All operands are channels first, [headDim][tokens or keys].
import { type Kernel, range, repeat } from './kernel';
import { type MaskKind, maskedStruct, maskFunction } from './mask';

export const flashParameters = [
  'tokens',
  'keys',
  'inner',
  'queryStride',
  'queryOuter',
  'queryInner',
  'keyStride',
  'keyOuter',
  'keyInner',
  'outputStride',
  'outputOuter',
  'outputInner',
  'logSumExpBatch',
  'scale',
] as const;

export interface FlashKernel {
  /** A multiple of 4. */
  headDim: number;
  mask: MaskKind;
  keepsLogSumExp: boolean;
}

/** Tokens of a workgroup, four for each of 16 columns of invocations. */
export const flashTokens = 64;
const columns = 16;
const blockKeys = 32;
/** Channels of query and key that are in workgroup memory at a time. */
const stageChannels = 16;
/** Keys whose values are in workgroup memory at a time. */
const valueKeys = 8;

/** Rows of invocations, which share a token's keys and its output's channels. */
const rowsFor = (headDim: number): number => (headDim > 80 ? 8 : 4);
const stageFours = (headDim: number): number =>
  Math.max((stageChannels * (flashTokens + blockKeys)) / 4, (valueKeys * headDim) / 4);

/** Bytes of workgroup memory. */
export const flashWorkgroupBytes = (headDim: number): number =>
  16 * stageFours(headDim) + 4 * blockKeys * flashTokens;
export const flashInvocations = (headDim: number): number => columns * rowsFor(headDim);

/** Whether the kernel can be had: tokens and padded keys are multiples of 4, too. */
export const flashTakes = (headDim: number, tokens: number): boolean =>
  headDim % 4 === 0 && headDim <= 256 && tokens % 4 === 0;

/** Channels of the output, fours, that an invocation holds. */
const ownFours = (headDim: number): number => Math.ceil(headDim / 4 / rowsFor(headDim));

function flashCode({ headDim, mask, keepsLogSumExp }: FlashKernel): string {
  const rows = rowsFor(headDim);
  const invocations = columns * rows;
  const ownKeys = blockKeys / rows;
  const fours = ownFours(headDim);
  const outputs = range(4 * fours);
  const keyStage = (stageChannels * flashTokens) / 4;

  const stageQueryAndKey = `for (var at = invocation; at < ${(stageChannels * flashTokens) / 4}u; at += ${invocations}u) {
  let channel = first + at / ${flashTokens / 4}u;
  let token = firstToken + at % ${flashTokens / 4}u * 4u;
  var four = vec4f();
  if (channel < ${headDim}u && token < p.tokens) { four = query[(queryBase + channel * p.queryStride + token) >> 2u]; }
  stage[at] = four;
}
for (var at = invocation; at < ${(stageChannels * blockKeys) / 4}u; at += ${invocations}u) {
  let channel = first + at / ${blockKeys / 4}u;
  let keyAt = firstKey + at % ${blockKeys / 4}u * 4u;
  var four = vec4f();
  if (channel < ${headDim}u && keyAt < p.keys) { four = key[(keyBase + channel * p.keyStride + keyAt) >> 2u]; }
  stage[${keyStage}u + at] = four;
}`;

  const scoreStep = `let q = stage[channel * ${flashTokens / 4}u + column];
${repeat(ownKeys / 4, (four) => {
  const k = `k${four}`;
  const load = `let ${k} = stage[${keyStage}u + channel * ${blockKeys / 4}u + row * ${ownKeys / 4}u + ${four}u];\n`;
  return load + ['x', 'y', 'z', 'w'].map((c, index) => `s${4 * four + index} += q * ${k}.${c};\n`).join('');
})}`;

  const maskScores = repeat(ownKeys, (own) => {
    const lanes = range(4).map(
      (lane) =>
        `masked(p.scale * s${own}[${lane}], outer, inner, min(token + ${lane}u, p.tokens - 1u), min(keyAt, p.keys - 1u))`,
    );
    return `{
let keyAt = firstKey + row * ${ownKeys}u + ${own}u;
s${own} = select(vec4f(hidden), vec4f(${lanes.join(', ')}), keyAt < p.keys);
scores[(row * ${ownKeys}u + ${own}u) * ${flashTokens / 4}u + column] = s${own};
}\n`;
  });

  const exponentials = repeat(
    ownKeys,
    (own) =>
      `scores[(row * ${ownKeys}u + ${own}u) * ${flashTokens / 4}u + column] = select(vec4f(), exp(max(s${own} - newMaximum, vec4f(-120.0))), s${own} > vec4f(hidden));\n`,
  );

  // Values lie channels first; in workgroup memory each key has its channels in a row: four by four exchanged.
  const stageValues = `for (var at = invocation; at < ${(headDim * valueKeys) / 16}u; at += ${invocations}u) {
  let channel = at / ${valueKeys / 4}u;
  let keyAt = at % ${valueKeys / 4}u * 4u;
  var v = mat4x4f();
  if (firstKey + block + keyAt < p.keys) {
    let first = keyBase + 4u * channel * p.keyStride + firstKey + block + keyAt;
    v = transpose(mat4x4f(${range(4)
      .map((index) => `value[(first + ${index}u * p.keyStride) >> 2u]`)
      .join(', ')}));
  }
  for (var lane = 0u; lane < 4u; lane++) { stage[(keyAt + lane) * ${headDim / 4}u + channel] = v[lane]; }
}`;

  const addValues = repeat(fours, (four) => {
    const first = `row * ${fours}u + ${four}u`;
    const load = `let v${four} = stage[keyAt * ${headDim / 4}u + min(${first}, ${headDim / 4 - 1}u)];\n`;
    return (
      load + ['x', 'y', 'z', 'w'].map((c, index) => `o${4 * four + index} += e * v${four}.${c};\n`).join('')
    );
  });

  const storeOutputs = repeat(
    4 * fours,
    (own) => `{
let channel = row * ${4 * fours}u + ${own}u;
if (channel < ${headDim}u) { output[(outputBase + channel * p.outputStride + token) >> 2u] = o${own} * inverse; }
}\n`,
  );
  const kept = keepsLogSumExp
    ? '@group(0) @binding(6) var<storage, read_write> logSumExp: array<vec4f>;\n'
    : '';
  const keep = keepsLogSumExp
    ? `if (row == 0u) {
logSumExp[(group.y * p.logSumExpBatch + token) >> 2u] = select(vec4f(hidden), maximum + log(max(sum, vec4f(1e-37))), sum > vec4f());
}`
    : '';

  return `${maskedStruct(flashParameters, ['scale'])}${maskFunction(mask, 5)}
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;
${kept}var<workgroup> stage: array<vec4f, ${stageFours(headDim)}>;
var<workgroup> scores: array<vec4f, ${(blockKeys * flashTokens) / 4}>;

@compute @workgroup_size(${columns}, ${rows})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
let column = local.x;
let row = local.y;
let invocation = row * ${columns}u + column;
let outer = group.y / p.inner;
let inner = group.y % p.inner;
let queryBase = outer * p.queryOuter + inner * p.queryInner;
let keyBase = outer * p.keyOuter + inner * p.keyInner;
let outputBase = outer * p.outputOuter + inner * p.outputInner;
let firstToken = group.x * ${flashTokens}u;
let token = firstToken + 4u * column;
var maximum = vec4f(hidden);
var sum = vec4f();
${outputs.map((own) => `var o${own} = vec4f();\n`).join('')}
for (var firstKey = 0u; firstKey < p.keys; firstKey += ${blockKeys}u) {
${repeat(ownKeys, (own) => `var s${own} = vec4f();\n`)}
for (var first = 0u; first < ${headDim}u; first += ${stageChannels}u) {
${stageQueryAndKey}
workgroupBarrier();
for (var channel = 0u; channel < ${stageChannels}u; channel++) {
${scoreStep}
}
workgroupBarrier();
}
${maskScores}
workgroupBarrier();
var newMaximum = maximum;
for (var keyAt = 0u; keyAt < ${blockKeys}u; keyAt++) {
  newMaximum = max(newMaximum, scores[keyAt * ${flashTokens / 4}u + column]);
}
workgroupBarrier();
${exponentials}
let rescale = exp(max(maximum - newMaximum, vec4f(-120.0)));
maximum = newMaximum;
sum *= rescale;
${outputs.map((own) => `o${own} *= rescale;\n`).join('')}
for (var block = 0u; block < ${blockKeys}u; block += ${valueKeys}u) {
${stageValues}
workgroupBarrier();
for (var keyAt = 0u; keyAt < ${valueKeys}u; keyAt++) {
let e = scores[(block + keyAt) * ${flashTokens / 4}u + column];
sum += e;
${addValues}
}
workgroupBarrier();
}
}
if (token >= p.tokens) { return; }
let inverse = select(vec4f(), 1.0 / sum, sum > vec4f());
${storeOutputs}
${keep}
}`;
}

/** Bindings: parameters, query, key, value, output, mask (where there is one), logSumExp (where it is kept). */
export function flashKernel(kernel: FlashKernel): Kernel {
  const { headDim, mask, keepsLogSumExp } = kernel;
  return {
    label: `flash attention, ${headDim} channels, mask ${mask}${keepsLogSumExp ? ', logSumExp' : ''}`,
    code: () => flashCode(kernel),
  };
}
