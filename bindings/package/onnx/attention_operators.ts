// Operators that compute a whole attention: Attention of ai.onnx, and Attention and MultiHeadAttention of
// com.microsoft.
import type { Attention } from './attention';
import { contiguousChannels, headSplit, projectedAxes, transposeAxes } from './axes';
import type { Axes, HeadSplit, Kind } from './axes';
import { asLinear, knownShape } from './linear';
import type { Linear, Search } from './linear';
import { causalMask } from './masks';
import type { NodeProto } from './model';
import { attributeOf, floatAttribute, integerAttribute, refuse } from './model_graph';
import { OperandBias, requirePlainValues, sourceOf, traceBack, traceOperands } from './operands';
import type { Operand, Operands } from './operands';
import { matchProjections, traceForward } from './projections';
import { ScoreReader } from './scores';
import type { AttentionSearch } from './search';
import { known, symbol, valueOf } from './symbolic_size';
import { dataTypes } from './tensors';

/**
 * Throws WeightsError if the node has an input that the layer does not support. `inputs` are their indices by
 * name.
 */
function requireAbsent(node: NodeProto, inputs: Record<string, number>): void {
  for (const [name, index] of Object.entries(inputs)) {
    if ((node.input[index] ?? '') !== '') refuse(node, `has the input ${name}; expected none`);
  }
}

/** An attention's operands, their heads, and what is added to its scores. */
interface Parts {
  readonly operands: Operands;
  readonly splits: Record<keyof Operands, Omit<HeadSplit, 'position'>>;
  /** The operator's scale; null for its default, 1/√headDim. */
  readonly scale: number | null;
  readonly mask: string;
  /** A mask in which 1 is a key that is attended to, of com.microsoft. */
  readonly keyMask?: string;
  readonly isCausal: boolean;
  /** Numbers of tokens and keys; null if they are known only at run time. */
  readonly tokens: number | null;
  readonly keys: number | null;
  /** The axes of the result, with channels in the order of the layer. */
  readonly result: Axes;
}

function finish(search: AttentionSearch, node: NodeProto, parts: Parts): Attention {
  const { operands, splits, scale, mask, keyMask = '', isCausal, tokens, keys } = parts;
  const { query, key } = operands;
  const { heads, headDim } = splits.query;
  const outer = query.scale * key.scale;
  const total = outer === 1 && scale === null ? 1 : outer * (scale ?? 1 / Math.sqrt(headDim));
  const sources = [query, key].map(({ linear }) => sourceOf(search, linear.input));
  const kinds: readonly Kind[] = ['batch', 'heads', 'tokens', 'keys'];
  const axes = kinds.map((kind) => [{ size: symbol(kind), stride: 0, kind }]);
  const reader = new ScoreReader(search, node, axes, total, sources);
  if (mask !== '') addMask(search, node, reader, mask, keys);
  if (keyMask !== '') addKeyMask(search, node, reader, keyMask, keys);
  if (isCausal) {
    if (tokens === null || keys === null) {
      refuse(
        node,
        'has a causal mask over sizes that are known only at run time; expected fixed sizes, or none',
      );
    }
    reader.addMask(node, causalMask(tokens, keys));
  }
  const scores = reader.finish();
  const added = scores.terms.map((term) => term.value);
  return {
    node,
    ...matchProjections(search, node, operands, splits),
    ...traceForward(search, node, node.output[0] ?? '', parts.result, heads * headDim, added),
    heads,
    ...scores,
    scale: outer === 1 ? scale : scores.scale,
  };
}

function addMask(
  search: Search,
  node: NodeProto,
  reader: ScoreReader,
  mask: string,
  keys: number | null,
): void {
  const size = knownShape(search, mask)?.at(-1);
  if (size !== undefined && keys !== null && size !== 1 && size !== keys) {
    refuse(node, `has a mask of ${size} keys; expected ${keys}`);
  }
  const { constants } = search;
  const type = constants.has(mask)
    ? constants.type(mask)
    : search.graph.inputs.get(mask)?.type?.tensorType?.elemType;
  if (type === dataTypes.bool) reader.addChoice(node, mask);
  else reader.addTerm(node, mask, 1);
}

/**
 * Adds a mask of integers [B, L] or [B, N, L]. The operator adds its mask_filter_value to the scores of other
 * keys.
 */
function addKeyMask(
  { inferred, constants }: Search,
  node: NodeProto,
  reader: ScoreReader,
  mask: string,
  keys: number | null,
): void {
  const sizes = inferred.get(mask)?.sizes ?? null;
  const rank = sizes?.length;
  if (rank !== 2 && rank !== 3) {
    refuse(node, `has a mask of keys of rank ${rank ?? 'unknown'}; expected [B, L] or [B, N, L]`);
  }
  if (!constants.has(mask)) return reader.addChoice(node, mask);
  const { dims, elements } = constants.read(mask);
  const [batch = 0, ...rows] = dims;
  if (keys !== null && rows.at(-1) !== keys)
    refuse(node, `has a mask of ${rows.at(-1)} keys; expected ${keys}`);
  const filter = floatAttribute(node, 'mask_filter_value', -10000);
  reader.addMask(node, {
    dims: [batch, 1, ...(rank === 2 ? [1] : []), ...rows],
    elements: Float64Array.from(elements, (value) => (value > 0 ? 0 : filter)),
    type: dataTypes.double,
  });
}

/** Checks operands [B, rows, channels], whose heads the operator splits. */
function joinedSplit(node: NodeProto, { axes, linear }: Operand, heads: number): Omit<HeadSplit, 'position'> {
  const channels = axes.length === 3 ? contiguousChannels(axes[2]) : null;
  if (channels === null) {
    refuse(node, 'has queries, keys or values of another shape; expected [B, N, C] as they were projected');
  }
  if (!(heads >= 1) || channels % heads !== 0) {
    refuse(node, `has ${heads} heads; expected a divisor of its ${linear.outFeatures} channels`);
  }
  return { heads, headDim: channels / heads, headStride: channels / heads };
}

/** Returns axes [B, N, C] with the channels in the order of the layer. */
const joinedResult = ({ axes }: Operand, channels: number): Axes => [
  ...axes.slice(0, 2),
  ...projectedAxes([], channels),
];

/** Returns the size of an axis of a value; null if it is known only at run time. */
function sizeAt({ inferred }: Search, value: string | undefined, axis: number): number | null {
  const size = inferred.get(value ?? '')?.sizes?.[axis];
  return size === undefined ? null : valueOf(size);
}

// --------------------------------------------------------------------------------------------- ai.onnx

/**
 * Attention of ai.onnx, since operator set 23: [B, N, C] with the numbers of heads, or [B, heads, N,
 * headDim].
 */
export function readOnnxAttention(search: AttentionSearch, node: NodeProto): Attention {
  requireAbsent(node, { past_key: 4, past_value: 5, nonpad_kv_seqlen: 6 });
  if (floatAttribute(node, 'softcap', 0) !== 0) refuse(node, 'has a softcap; expected none');
  const operands = traceOperands(search, node, node.input);
  const { query, key, value } = operands;
  const isSplit = query.axes.length === 4;
  const named = integerAttribute(node, 'q_num_heads', 0);
  if (!isSplit && integerAttribute(node, 'kv_num_heads', 0) !== named) {
    refuse(node, 'has different numbers of heads for queries and keys; expected the same number');
  }
  const splits = isSplit
    ? splitHeads(node, operands)
    : {
        query: joinedSplit(node, query, named),
        key: joinedSplit(node, key, named),
        value: joinedSplit(node, value, named),
      };
  const { heads, headDim } = splits.value;
  const rows = isSplit ? 2 : 1;
  const scale = floatAttribute(node, 'scale', NaN);
  return finish(search, node, {
    operands,
    splits,
    scale: Number.isNaN(scale) ? null : scale,
    mask: node.input[3] ?? '',
    isCausal: integerAttribute(node, 'is_causal', 0) !== 0,
    tokens: sizeAt(search, node.input[0], rows),
    keys: sizeAt(search, node.input[1], rows),
    result: isSplit
      ? [query.axes[0]!, headsAxis(heads, headDim), query.axes[2]!, ...projectedAxes([], headDim)]
      : joinedResult(query, heads * headDim),
  });
}

const headsAxis = (heads: number, headDim: number) =>
  heads === 1 ? [] : [{ size: known(heads), stride: headDim }];

const differentHeads =
  'has queries, keys and values that are not split into heads alike, as far as shapes are known';

/** Returns the heads of operands [B, heads, rows, channels]. */
function splitHeads(node: NodeProto, { query, key, value }: Operands): Record<keyof Operands, HeadSplit> {
  const split = ({ axes }: Operand) =>
    (axes.length === 4 ? headSplit(axes, -1) : null) ?? refuse(node, differentHeads);
  const splits = { query: split(query), key: split(key), value: split(value) };
  const isSame = Object.values(splits).every(
    ({ heads, position }) => heads === splits.query.heads && position === (heads === 1 ? '' : '1: heads'),
  );
  return isSame ? splits : refuse(node, differentHeads);
}

// ---------------------------------------------------------------------------------------- com.microsoft

/**
 * MultiHeadAttention of com.microsoft: [B, N, C], [B, L, C] and [B, L, C]; or packed, [B, N, heads, 3,
 * headDim], or [B, N, C] and [B, L, heads, 2, headDim].
 */
export function readMultiHeadAttention(search: AttentionSearch, node: NodeProto): Attention {
  requireAbsent(node, { past_key: 6, past_value: 7 });
  const [query = '', key = '', value = '', bias = ''] = node.input;
  const heads = integerAttribute(node, 'num_heads', 0);
  const packedFrom = key === '' ? 0 : value === '' ? 1 : 3;
  const parts = [query, key, value].map((name, index) => {
    const role = (['query', 'key', 'value'] as const)[index]!;
    const isPacked = index >= packedFrom;
    const operand = traceBack(search, node, role, isPacked ? [query, key][packedFrom]! : name);
    return isPacked
      ? packedPart(node, operand, index - packedFrom, 3 - packedFrom, heads)
      : { operand, split: joinedSplit(node, operand, heads) };
  });
  const [first, second, third] = parts as [(typeof parts)[0], (typeof parts)[0], (typeof parts)[0]];
  requirePlainValues(node, third.operand);
  const operands = { query: first.operand, key: second.operand, value: third.operand };
  return finish(search, node, {
    operands: bias === '' ? operands : withBias(search, node, bias, operands, heads * third.split.headDim),
    splits: { query: first.split, key: second.split, value: third.split },
    ...microsoftParts(search, node, query, packedFrom === 0 ? query : key),
    mask: node.input[5] ?? '',
    keyMask: node.input[4] ?? '',
    result: joinedResult(first.operand, heads * third.split.headDim),
  });
}

/** Returns the operands with the bias that MultiHeadAttention adds to them: [3 · channels]. */
function withBias(
  search: Search,
  node: NodeProto,
  bias: string,
  operands: Operands,
  channels: number,
): Operands {
  const added = new OperandBias(search, 'operands');
  added.add(node, bias);
  const { bias: value } = added.of({ ...operands.query.linear, node, outFeatures: 3 * channels });
  if (value === null) return operands;
  const add = (role: keyof Operands, index: number): Operand => {
    const operand = operands[role];
    if (operand.bias !== null || operand.norm !== null || operand.scale !== 1) {
      refuse(node, `has a bias, and a bias, norm or scale of the ${role} before it; expected one bias`);
    }
    return { ...operand, bias: value, biasOffset: index * channels };
  };
  return { query: add('query', 0), key: add('key', 1), value: add('value', 2) };
}

/** Returns one of `count` operands that are packed as [B, rows, heads, count, headDim]. */
function packedPart(
  node: NodeProto,
  operand: Operand,
  index: number,
  count: number,
  heads: number,
): { operand: Operand; split: HeadSplit } {
  const [batch, rows, headAxis, parts, channels] = operand.axes;
  const headDim = contiguousChannels(channels);
  const isPacked =
    operand.axes.length === 5 && headDim !== null && contiguousChannelsBy(parts!, headDim) === count;
  const axes = isPacked ? transposeAxes([batch!, rows!, headAxis!, channels!], [0, 2, 1, 3]) : null;
  const split = axes === null ? null : headSplit(axes, -1);
  if (split?.heads !== heads) {
    refuse(node, `has packed operands of another shape; expected [B, N, ${heads} heads, ${count}, channels]`);
  }
  return { operand: { ...operand, offset: operand.offset + index * headDim! }, split };
}

/** Returns the size of an axis whose elements are `stride` apart; null for other axes. */
function contiguousChannelsBy(axis: Axes[number], stride: number): number | null {
  const [piece] = axis;
  return axis.length === 1 && piece!.stride === stride ? valueOf(piece!.size) : null;
}

function microsoftParts(
  search: Search,
  node: NodeProto,
  query: string,
  key: string,
): Pick<Parts, 'scale' | 'isCausal' | 'tokens' | 'keys'> {
  const scale = floatAttribute(node, 'scale', 0);
  const isCausal = integerAttribute(node, 'unidirectional', 0) !== 0;
  const [tokens, keys] = [sizeAt(search, query, 1), sizeAt(search, key, 1)];
  if (isCausal && (tokens === null || tokens !== keys)) {
    refuse(
      node,
      'has unidirectional 1 over sizes that differ or are known only at run time; expected fixed sizes, or 0',
    );
  }
  return { scale: scale === 0 ? null : scale, isCausal, tokens, keys };
}

/** Attention of com.microsoft: one weight [C, 3·C] projects queries, keys and values from one input. */
export function readMicrosoftAttention(search: AttentionSearch, node: NodeProto): Attention {
  requireAbsent(node, { past: 4, past_sequence_length: 6 });
  const [input = '', weight = '', bias = ''] = node.input;
  if (integerAttribute(node, 'do_rotary', 0) !== 0) refuse(node, 'has do_rotary 1; expected 0');
  const projection = { ...node, opType: 'MatMul', domain: '', input: [input, weight] };
  const linear: Linear = asLinear(search, projection) ?? refuse(node, 'has weights that are not constant');
  const added = new OperandBias(search, 'projections');
  if (bias !== '') added.add(node, bias);
  const listed = attributeOf(node, 'qkv_hidden_sizes')?.ints;
  const sizes = listed ?? new Array<number>(3).fill(linear.outFeatures / 3);
  const heads = integerAttribute(node, 'num_heads', 0);
  let offset = 0;
  const parts = (['query', 'key', 'value'] as const).map((role, index) => {
    const size = sizes[index] ?? 0;
    if (!(heads >= 1) || !(size >= 1) || size % heads !== 0) {
      refuse(node, `has ${heads} heads; expected a divisor of the ${size} channels of its ${role}`);
    }
    const axes = projectedAxes([symbol('batch?'), symbol('rows?')], size);
    const operand: Operand = { linear, axes, offset, norm: null, scale: 1, ...added.of({ ...linear, node }) };
    offset += size;
    return { operand, split: { heads, headDim: size / heads, headStride: size / heads } };
  });
  if (offset !== linear.outFeatures) {
    refuse(node, `has ${linear.outFeatures} channels of its weight; expected ${offset}`);
  }
  const [query, key, value] = parts as [(typeof parts)[0], (typeof parts)[0], (typeof parts)[0]];
  return finish(search, node, {
    operands: { query: query.operand, key: key.operand, value: value.operand },
    splits: { query: query.split, key: key.split, value: value.split },
    ...microsoftParts(search, node, input, input),
    mask: node.input[5] ?? '',
    keyMask: node.input[3] ?? '',
    result: joinedResult(query.operand, sizes[2]!),
  });
}
