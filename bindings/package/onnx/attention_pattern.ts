// Finds the attention layers in a graph: from each softmax back to the projections of queries and keys and
// forward to the values and the output projection; and operators that compute a whole attention. Every node
// on these paths is represented by the layer, or the attention is refused: none is skipped.
import type { Attention } from './attention';
import { readMicrosoftAttention, readMultiHeadAttention, readOnnxAttention } from './attention_operators';
import { headSplit } from './axes';
import type { Axes, HeadSplit } from './axes';
import { asProduct } from './matrix_products';
import type { NodeProto } from './model';
import { isStandard, refuse } from './model_graph';
import { sourceOf, traceOperands } from './operands';
import type { Operand } from './operands';
import { matchProjections, traceForward } from './projections';
import { checkSoftmax, findScores, positionOfHeads, probabilityAxes, scoreAxes, ScoreReader } from './scores';
import { productsOf } from './search';
import type { AttentionSearch } from './search';
import { known } from './symbolic_size';

type Reader = (search: AttentionSearch, node: NodeProto) => Attention;

/** Returns the nodes that are or contain the softmax of an attention, in the order of the graph. */
export function attentionNodes(search: AttentionSearch, nodes: readonly NodeProto[]): NodeProto[] {
  const direct = new Map(search.graph.nodes.map((node) => [node.output[0], node]));
  return nodes.flatMap(({ output: [value] }) => {
    const node = value === undefined ? undefined : direct.get(value);
    return node !== undefined && readerOf(search, node) !== null ? [node] : [];
  });
}

/** Throws WeightsError that names the node if the layer cannot compute the attention. */
export const readAttention: Reader = (search, node) => readerOf(search, node)!(search, node);

/** Returns null for a node that is not part of an attention, such as a softmax over classes. */
function readerOf({ scores, factors }: AttentionSearch, node: NodeProto): Reader | null {
  if (/^(Bias)?Softmax$/.test(node.opType)) {
    const isBetween = scores.has(node.input[0] ?? '') && factors.has(node.output[0] ?? '');
    if (!isBetween) return null;
    if (isStandard(node) && node.opType === 'Softmax') return readSoftmax;
    return () => refuse(node, "is not supported; expected ONNX's Softmax");
  }
  if (isStandard(node)) return node.opType === 'Attention' ? readOnnxAttention : null;
  if (node.domain !== 'com.microsoft' || !/Attention$/.test(node.opType)) return null;
  if (node.opType === 'MultiHeadAttention') return readMultiHeadAttention;
  if (node.opType === 'Attention') return readMicrosoftAttention;
  return () => refuse(node, "is not supported; expected com.microsoft's Attention or MultiHeadAttention");
}

/** Attention as plain operators. */
function readSoftmax(search: AttentionSearch, softmax: NodeProto): Attention {
  const { product, steps } = findScores(search, softmax);
  const products = productsOf(search, softmax.output[0] ?? '');
  if (products.length !== 1) {
    refuse(softmax, `has 1 product before it and ${products.length} after it; expected one of each`);
  }
  const [last] = products as [NodeProto];
  const sum = asProduct(last);
  const [first, second] = product.node.input as [string, string];
  const operands = traceOperands(search, softmax, [first, second, last.input[1]!]);
  const { query, key, value } = operands;
  if (sum.summedAxis !== -2 || sum.factor !== 1)
    refuse(last, 'is not the product of probabilities and values');
  const splits = {
    query: splitOf(softmax, query, -1),
    key: splitOf(softmax, key, product.summedAxis),
    value: splitOf(softmax, value, -1),
  };
  requireSameHeads(softmax, splits.query, splits.key, query, key);
  const tokens = [query, key].map(({ linear }) => sourceOf(search, linear.input));
  const scale = product.factor * query.scale * key.scale;
  const reader = new ScoreReader(search, softmax, scoreAxes(operands, product), scale, tokens);
  for (const step of steps) reader.apply(step);
  checkSoftmax(search, softmax, reader.axes);
  const axes = probabilityAxes(search, softmax, last, reader.axes);
  const position = positionOfHeads(axes);
  requireSameHeads(softmax, { ...splits.query, position: position ?? '?' }, splits.value, query, value);
  const { heads, headDim } = splits.value;
  const scores = reader.finish();
  const added = [softmax.input[0] ?? '', ...scores.terms.map((term) => term.value)];
  const result = resultAxes(axes, splits.query, headDim);
  return {
    node: softmax,
    ...matchProjections(search, softmax, operands, splits),
    ...traceForward(search, softmax, last.output[0] ?? '', result, heads * headDim, added),
    heads,
    ...scores,
  };
}

const differentHeads =
  'has queries, keys and values that are not split into heads alike, as far as shapes are known';

function splitOf(node: NodeProto, { axes }: Operand, channelAxis: -1 | -2): HeadSplit {
  return headSplit(axes, channelAxis) ?? refuse(node, differentHeads);
}

function requireSameHeads(
  node: NodeProto,
  left: HeadSplit,
  right: HeadSplit,
  leftOperand: Operand,
  rightOperand: Operand,
): void {
  const isSame =
    left.heads === right.heads &&
    left.position === right.position &&
    leftOperand.axes.length === rightOperand.axes.length;
  if (!isSame) refuse(node, differentHeads);
}

/** Returns the axes of the product of probabilities and values, with channels in the order of the layer. */
function resultAxes(probabilities: Axes, { headStride }: HeadSplit, headDim: number): Axes {
  const outer = probabilities.slice(0, -1).map((axis) =>
    axis.map(({ size, stride, kind }) => ({
      size,
      stride: kind === 'heads' ? (stride / headStride) * headDim : 0,
    })),
  );
  return [...outer, headDim === 1 ? [] : [{ size: known(headDim), stride: 1 }]];
}
