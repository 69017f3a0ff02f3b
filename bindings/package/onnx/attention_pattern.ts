// Finds the attention layers in a graph: from each softmax back to the projections of queries and keys and
// forward to the values and the output projection; and operators that compute a whole attention.
import { hasAllChannels, headSplit } from './axes';
import type { HeadSplit } from './axes';
import { inferValues } from './shape_inference';
import { isReshape, isTransparent } from './linear';
import type { GraphProto, NodeProto } from './model';
import { floatAttribute, integerAttribute, isStandard, ModelGraph, maxSteps, refuse } from './model_graph';
import { asProduct } from './matrix_products';
import type { Product } from './matrix_products';
import { matchProjections, requireZeroBias, scalarOf, traceBack, traceForward } from './projections';
import type { Operand, Operands, OutputProjection, Projections, Search } from './projections';

/** A value that is added to the scores, and the factor by which the sum is scaled afterwards. */
interface Mask {
  readonly value: string;
  readonly scale: number;
}

export interface Attention extends Projections, OutputProjection {
  /** The softmax, or the operator that computes a whole attention. */
  readonly node: NodeProto;
  readonly heads: number;
  /** Scale of the scores; null for the default, 1/√headDim. */
  readonly scale: number | null;
  readonly masks: readonly Mask[];
}

/**
 * Returns the attention layers of a graph in the order of its nodes. Throws WeightsError that names the node
 * of an attention that the layer cannot compute. A softmax that is not part of an attention is skipped.
 */
export function findAttentions(model: GraphProto): Attention[] {
  const graph = new ModelGraph(model);
  const search = { graph, inferred: inferValues(graph, model.valueInfo) };
  return model.node.flatMap((node) => readAttention(search, node) ?? []);
}

function readAttention(search: Search, node: NodeProto): Attention | null {
  if (isStandard(node)) {
    if (node.opType === 'Softmax') return readSoftmax(search, node);
    return node.opType === 'Attention' ? readOnnxAttention(search, node) : null;
  }
  if (node.domain !== 'com.microsoft') return null;
  if (node.opType === 'MultiHeadAttention') return readMultiHeadAttention(search, node);
  if (/Attention$/.test(node.opType)) {
    refuse(node, "is not supported; expected com.microsoft's MultiHeadAttention");
  }
  return null;
}

// ------------------------------------------------------------------------------------- plain operators

/** The product of queries and keys, with the scale and the masks between it and the softmax. */
interface Scores {
  product: Product;
  scale: number;
  masks: Mask[];
}

/** Searches back from the softmax, through scales and masks, for all products that its input depends on. */
function findScores(search: Search, softmax: NodeProto): Scores[] {
  const found: Scores[] = [];
  const seen = new Set<string>();
  const waiting = [{ value: softmax.input[0] ?? '', scale: 1, masks: [] as Mask[] }];
  for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
    const { value, scale, masks } = state;
    const node = search.graph.producer(value);
    if (node === undefined || seen.has(value) || seen.size > maxSteps) continue;
    seen.add(value);
    const [first = '', second = '', third = ''] = node.input;
    const follow = (input: string, factor = 1, added: Mask[] = []) =>
      waiting.push({ value: input, scale: scale * factor, masks: [...masks, ...added] });
    const product = asProduct(search.graph, node);
    if (product !== null) found.push({ product, scale, masks });
    else if (isTransparent(node) || isReshape(node)) follow(first);
    else if (!isStandard(node)) continue;
    else if (node.opType === 'Mul') {
      follow(first, scalarOf(search, second));
      follow(second, scalarOf(search, first));
    } else if (node.opType === 'Div') follow(first, 1 / scalarOf(search, second));
    else if (node.opType === 'Add') {
      follow(first, 1, [{ value: second, scale }]);
      follow(second, 1, [{ value: first, scale }]);
    } else if (node.opType === 'Where') {
      follow(second);
      follow(third);
    }
  }
  return found;
}

/** Searches forward from the softmax for the products of its result with values. */
function findValueProducts({ graph }: Search, softmax: NodeProto): Product[] {
  const found: Product[] = [];
  const seen = new Set<string>();
  const waiting = [softmax.output[0] ?? ''];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (seen.has(value) || seen.size > maxSteps) continue;
    seen.add(value);
    for (const node of graph.consumers(value)) {
      const isChoice = isStandard(node) && node.opType === 'Where' && node.input[0] !== value;
      const product = node.input[0] === value ? asProduct(graph, node) : null;
      if (product !== null) found.push(product);
      else if (isChoice || isReshape(node) || isTransparent(node)) waiting.push(node.output[0] ?? '');
    }
  }
  return found;
}

function readSoftmax(search: Search, softmax: NodeProto): Attention | null {
  const scores = findScores(search, softmax);
  const products = scores.length === 0 ? [] : findValueProducts(search, softmax);
  if (products.length === 0) return null;
  if (scores.length > 1 || products.length > 1) {
    refuse(
      softmax,
      `has ${scores.length} products before it and ${products.length} after it; expected one of each`,
    );
  }
  const [{ product, scale, masks }] = scores as [Scores];
  const [sum] = products as [Product];
  const [first, second] = product.node.input as [string, string];
  const operands = traceOperands(search, softmax, [first, second, sum.node.input[1]!]);
  const { query, key, value } = operands;
  const axis = integerAttribute(softmax, 'axis', -1);
  if (axis !== -1 && axis !== query.axes.length - 1) {
    refuse(softmax, `has axis ${axis}; expected the last axis, that of the keys`);
  }
  if (sum.summedAxis !== -2 || sum.factor !== 1) {
    refuse(sum.node, 'is not the product of probabilities and values');
  }
  const { heads } = agreeOnHeads(softmax, [
    [query, -1],
    [key, product.summedAxis],
    [value, -1],
  ]);
  const total = scale * product.factor * query.scale * key.scale;
  if (!Number.isFinite(total)) refuse(softmax, 'has scores of unknown scale; expected a constant number');
  return {
    node: softmax,
    ...matchProjections(search, softmax, operands),
    ...traceForward(search, softmax, sum.node.output[0] ?? '', operands),
    heads,
    scale: total,
    masks,
  };
}

// ------------------------------------------------------------------------------- attention as one operator

/**
 * Throws WeightsError if the node has an input that the layer does not support. `inputs` are their indices by
 * name.
 */
function requireAbsent(node: NodeProto, inputs: Record<string, number>): void {
  for (const [name, index] of Object.entries(inputs)) {
    if ((node.input[index] ?? '') !== '') refuse(node, `has the input ${name}; expected none`);
  }
}

/**
 * Attention of ai.onnx, since operator set 23: [B, N, C] with the numbers of heads, or [B, heads, N,
 * headDim].
 */
function readOnnxAttention(search: Search, node: NodeProto): Attention {
  requireAbsent(node, { past_key: 4, past_value: 5, nonpad_kv_seqlen: 6 });
  if (integerAttribute(node, 'is_causal', 0) !== 0) refuse(node, 'has is_causal 1; expected 0');
  if (floatAttribute(node, 'softcap', 0) !== 0) refuse(node, 'has a softcap; expected none');
  const operands = traceOperands(search, node, node.input);
  const { query, key, value } = operands;
  const isSplit = query.axes.length === 4;
  const named = integerAttribute(node, 'q_num_heads', 0);
  if (!isSplit && integerAttribute(node, 'kv_num_heads', 0) !== named) {
    refuse(node, 'has different numbers of heads for queries and keys; expected the same number');
  }
  const split: [Operand, -1][] = [
    [query, -1],
    [key, -1],
    [value, -1],
  ];
  const heads = isSplit ? agreeOnHeads(node, split).heads : joinedHeads(node, operands, named);
  const scale = floatAttribute(node, 'scale', NaN);
  return {
    node,
    ...matchProjections(search, node, operands),
    ...traceForward(search, node, node.output[0] ?? '', operands),
    heads,
    scale: totalScale(node, operands, heads, Number.isNaN(scale) ? null : scale),
    masks: maskInput(node, 3),
  };
}

/** MultiHeadAttention of com.microsoft: [B, N, C], [B, L, C] and [B, L, C]. */
function readMultiHeadAttention(search: Search, node: NodeProto): Attention {
  requireAbsent(node, { past_key: 6, past_value: 7 });
  if (integerAttribute(node, 'unidirectional', 0) !== 0) refuse(node, 'has unidirectional 1; expected 0');
  const bias = node.input[3] ?? '';
  if (bias !== '') requireZeroBias(search, node, bias, 'its projections');
  const operands = traceOperands(search, node, node.input);
  const heads = joinedHeads(node, operands, integerAttribute(node, 'num_heads', 0));
  const scale = floatAttribute(node, 'scale', 0);
  return {
    node,
    ...matchProjections(search, node, operands),
    ...traceForward(search, node, node.output[0] ?? '', operands),
    heads,
    scale: totalScale(node, operands, heads, scale === 0 ? null : scale),
    masks: maskInput(node, 5),
  };
}

const maskInput = (node: NodeProto, index: number): Mask[] =>
  (node.input[index] ?? '') === '' ? [] : [{ value: node.input[index]!, scale: 1 }];

/** Checks operands [B, rows, channels], whose heads the operator splits. Returns the number of heads. */
function joinedHeads(node: NodeProto, operands: Operands, heads: number): number {
  for (const { axes, linear } of Object.values(operands)) {
    if (axes.length !== 3 || !hasAllChannels(axes[2], linear.outFeatures)) {
      refuse(node, 'has queries, keys or values of another shape; expected [B, N, C] as they were projected');
    }
    if (!(heads >= 1) || linear.outFeatures % heads !== 0) {
      refuse(node, `has ${heads} heads; expected a divisor of its ${linear.outFeatures} channels`);
    }
  }
  return heads;
}

/** Returns the product of the operator's scale and those of its operands; null if all have the default. */
function totalScale(
  node: NodeProto,
  { query, key }: Operands,
  heads: number,
  operatorScale: number | null,
): number | null {
  const outer = query.scale * key.scale;
  if (outer === 1) return operatorScale;
  const total = outer * (operatorScale ?? 1 / Math.sqrt(query.linear.outFeatures / heads));
  return Number.isFinite(total) ? total : refuse(node, 'has scores of unknown scale');
}

// --------------------------------------------------------------------------------------------- operands

function traceOperands(search: Search, node: NodeProto, values: readonly string[]): Operands {
  const [query = '', key = '', value = ''] = values;
  const operands = {
    query: traceBack(search, node, 'query', query),
    key: traceBack(search, node, 'key', key),
    value: traceBack(search, node, 'value', value),
  };
  const { scale } = operands.value;
  if (scale !== 1) refuse(node, `has values that are scaled by ${scale}; expected no scale`);
  return operands;
}

/**
 * Returns the heads of queries, keys and values, which must be split alike. Each operand comes with the
 * axis of a head's channels.
 */
function agreeOnHeads(node: NodeProto, operands: readonly [Operand, -1 | -2][]): HeadSplit {
  const splits = operands.map(([{ axes, linear }, channelAxis]) =>
    headSplit(axes, linear.outFeatures, channelAxis),
  );
  const first = splits[0];
  const ranks = new Set(operands.map(([{ axes }]) => axes.length));
  const agree = splits.every((split) => split?.heads === first?.heads && split?.position === first?.position);
  if (!first || !agree || ranks.size > 1) {
    refuse(
      node,
      'has queries, keys and values that are not split into heads alike, as far as shapes are known',
    );
  }
  return first;
}
