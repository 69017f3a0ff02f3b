// Nodes that replace rows by zero in which all keys are masked, as the layer does: for ONNX, they are NaN.
import { isReshape, isTransparent, isTranspose } from './linear';
import type { Search } from './linear';
import type { NodeProto } from './model';
import { attributeOf, integerAttribute, isStandard, maxSteps } from './model_graph';

/** Returns the node if it is a standard operator of this type. */
const asOperator = (node: NodeProto | undefined, type: string): NodeProto | undefined =>
  node !== undefined && isStandard(node) && node.opType === type ? node : undefined;

/**
 * Returns x for Where(IsNaN(x), 0, x), and for Where(condition, 0, x) if the condition is that all `scores`,
 * or all that is added to them, are -infinity in a row; null for other nodes.
 */
export function zeroedInput(search: Search, node: NodeProto, scores: readonly string[]): string | null {
  const { graph, constants } = search;
  const [condition = '', zero = '', value = ''] = node.input;
  if (asOperator(node, 'Where') === undefined || constants.uniform(zero) !== 0) return null;
  let test = graph.producer(condition);
  for (let step = 0; step < maxSteps && test !== undefined; ++step) {
    if (!isTranspose(test) && !isReshape(test)) break;
    test = graph.producer(test.input[0] ?? '');
  }
  const tested = test?.input[0] ?? '';
  if (asOperator(test, 'IsNaN') !== undefined) return tested === value ? value : null;
  const isInfinite = asOperator(test, 'IsInf');
  const maximum = asOperator(graph.producer(tested), 'ReduceMax');
  if (isInfinite === undefined || maximum === undefined) return null;
  if (integerAttribute(isInfinite, 'detect_positive', 1) !== 0) return null;
  const [input = '', listed = ''] = maximum.input;
  const axes = constants.has(listed)
    ? [...constants.read(listed).elements]
    : attributeOf(maximum, 'axes')?.ints;
  const isOfRows = axes?.join() === '-1' && integerAttribute(maximum, 'keepdims', 1) === 1;
  const isOfScores = scores.some((one) => sourceOf(search, one) === sourceOf(search, input));
  return isOfRows && isOfScores ? value : null;
}

/** Returns the value from which another differs only by its type and by repetition. */
function sourceOf(search: Search, value: string): string {
  let source = value;
  for (let step = 0; step < maxSteps; ++step) {
    const node = search.graph.producer(source);
    const isCopy = node !== undefined && (isTransparent(search, node) || asOperator(node, 'Expand'));
    if (!isCopy) break;
    source = node.input[0] ?? '';
  }
  return source;
}
