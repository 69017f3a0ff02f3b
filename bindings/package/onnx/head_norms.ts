// Norms of queries and keys over the channels of each head: as one operator, or spelled out as PyTorch's
// exporters write them for older operator sets.
import { Step } from './inferred_value';
import { isArithmetic, isTransparent, knownShape } from './linear';
import type { Search } from './linear';
import type { NodeProto } from './model';
import { floatAttribute, integerAttribute, isStandard, maxSteps, refuse } from './model_graph';

export interface HeadNorm {
  /** The last node of the norm. */
  readonly node: NodeProto;
  readonly kind: 'layer_norm' | 'rms_norm';
  readonly epsilon: number;
  /** Names of constants; null for a norm without. */
  readonly weight: string | null;
  readonly bias: string | null;
  /** Names of the values before and after. */
  readonly input: string;
  readonly output: string;
}
type Core = Pick<HeadNorm, 'kind' | 'epsilon' | 'input'>;

/** PyTorch's default, and that of ONNX's operators. */
const defaultEpsilon = 1e-5;

/** Returns the norm whose result a node computes, with its weight and bias; null for other nodes. */
export function asHeadNorm(search: Search, node: NodeProto): HeadNorm | null {
  const biased = isArithmetic(node, 'Add') ? constantOperand(search, node) : null;
  if (biased !== null) {
    const inner = search.graph.producer(sourceOf(search, biased.other));
    const norm = inner && (weightedNorm(search, inner) ?? plainNorm(search, inner));
    return norm && norm.bias === null ? { ...ended(norm, node), bias: biased.constant } : null;
  }
  const weighted = weightedNorm(search, node);
  // One number for all channels is a scale.
  const weight = weighted?.weight ?? null;
  const isScale = weight !== null && knownShape(search, weight)?.every((size) => size === 1);
  return isScale ? null : (weighted ?? plainNorm(search, node));
}

const ended = (norm: HeadNorm, node: NodeProto): HeadNorm => ({
  ...norm,
  node,
  output: node.output[0] ?? '',
});

/** Returns the norm of Mul(norm, weight); null for other nodes. */
function weightedNorm(search: Search, node: NodeProto): HeadNorm | null {
  const operands = isArithmetic(node, 'Mul') ? constantOperand(search, node) : null;
  const inner = operands && search.graph.producer(sourceOf(search, operands.other));
  const norm = inner && plainNorm(search, inner);
  const isFree = norm?.weight === null && norm.bias === null;
  return isFree ? { ...ended(norm, node), weight: operands!.constant } : null;
}

/** Returns a norm that is one operator, or one without weight and bias. */
function plainNorm(search: Search, node: NodeProto): HeadNorm | null {
  const isOperator =
    (isStandard(node) && /^(Layer|RMS|SimplifiedLayer)Normalization$/.test(node.opType)) ||
    (node.domain === 'com.microsoft' && node.opType === 'SimplifiedLayerNormalization');
  if (isOperator) return operatorNorm(search, node);
  const core = spelledNorm(search, node);
  return core && { ...core, node, weight: null, bias: null, output: node.output[0] ?? '' };
}

function operatorNorm(search: Search, node: NodeProto): HeadNorm {
  const { constants } = search;
  const [input = '', weight = '', bias = '', ...others] = node.input;
  const kind = node.opType === 'LayerNormalization' ? 'layer_norm' : 'rms_norm';
  for (const value of [weight, bias]) {
    if (value !== '' && !constants.has(value)) {
      refuse(node, 'has a weight or bias that is not constant; expected constants');
    }
  }
  if (others.some((value) => value !== '')) refuse(node, 'has more than 3 inputs');
  if (!isLastAxis(search, input, [integerAttribute(node, 'axis', -1)])) {
    refuse(node, `has axis ${integerAttribute(node, 'axis', -1)}; expected the last axis`);
  }
  const epsilon = floatAttribute(node, 'epsilon', defaultEpsilon);
  const nameOf = (value: string) => (value === '' ? null : value);
  const output = node.output[0] ?? '';
  return { node, kind, epsilon, weight: nameOf(weight), bias: nameOf(bias), input, output };
}

// ------------------------------------------------------------------------------------------- spelled out

/**
 * Returns the norm of Div(y, deviation) and Mul(y, 1 / deviation), with deviation = Sqrt(mean(y²) + epsilon);
 * of x for y = x - mean(x). Returns null for other nodes.
 */
function spelledNorm(search: Search, node: NodeProto): Core | null {
  const [first = '', second = ''] = node.input;
  let found: { squared: string; epsilon: number } | null = null;
  let numerator = first;
  if (isArithmetic(node, 'Div')) found = readPower(search, second, 0.5);
  else if (isArithmetic(node, 'Mul')) {
    found = readPower(search, second, -0.5);
    if (found === null) {
      found = readPower(search, first, -0.5);
      numerator = second;
    }
  }
  if (found === null) return null;
  const centered = centeredInput(search, numerator);
  const other = centeredInput(search, found.squared);
  const [input, squared] =
    centered === null || other === null ? [numerator, found.squared] : [centered, other];
  if (sourceOf(search, input) !== sourceOf(search, squared)) return null;
  return { kind: centered === null ? 'rms_norm' : 'layer_norm', epsilon: found.epsilon, input };
}

/** Reads a value as (mean(squared²) + epsilon)^exponent; returns null for others. */
function readPower(
  search: Search,
  value: string,
  exponent: number,
): { squared: string; epsilon: number } | null {
  const { constants } = search;
  const node = search.graph.producer(sourceOf(search, value));
  if (node === undefined || !isStandard(node)) return null;
  const [first = '', second = ''] = node.input;
  switch (node.opType) {
    case 'Pow':
      return constants.uniform(second) === exponent ? readMeanSquare(search, first) : null;
    case 'Sqrt':
      return exponent === 0.5 ? readMeanSquare(search, first) : null;
    case 'Reciprocal':
      return exponent === -0.5 ? readPower(search, first, 0.5) : null;
    case 'Div':
      return exponent === -0.5 && isArithmetic(node, 'Div') && constants.uniform(first) === 1
        ? readPower(search, second, 0.5)
        : null;
  }
  return null;
}

function readMeanSquare(search: Search, value: string): { squared: string; epsilon: number } | null {
  const { graph, constants } = search;
  let node = graph.producer(sourceOf(search, value));
  let epsilon = 0;
  if (node !== undefined && isArithmetic(node, 'Add')) {
    const operands = constantOperand(search, node);
    const found = operands && constants.uniform(operands.constant);
    if (operands === null || found === null) return null;
    epsilon = found;
    node = graph.producer(sourceOf(search, operands.other));
  }
  const mean = node && meanInput(search, node);
  const square = mean && graph.producer(sourceOf(search, mean));
  if (!square || !isStandard(square)) return null;
  const [first = '', second = ''] = square.input;
  const isSquare =
    square.opType === 'Pow'
      ? constants.uniform(second) === 2
      : isArithmetic(square, 'Mul') && sourceOf(search, first) === sourceOf(search, second);
  return isSquare ? { squared: first, epsilon } : null;
}

/** Returns x for x - mean(x) over the last axis; null for other values. */
function centeredInput(search: Search, value: string): string | null {
  const node = search.graph.producer(sourceOf(search, value));
  if (node === undefined || !isArithmetic(node, 'Sub')) return null;
  const [first = '', second = ''] = node.input;
  const mean = search.graph.producer(sourceOf(search, second));
  const input = mean && meanInput(search, mean);
  return input && sourceOf(search, input) === sourceOf(search, first) ? first : null;
}

/** Returns the input of a mean over the last axis, which stays with size 1; null for other nodes. */
function meanInput(search: Search, node: NodeProto): string | null {
  const [input = ''] = node.input;
  if (!isStandard(node) || node.opType !== 'ReduceMean' || integerAttribute(node, 'keepdims', 1) !== 1) {
    return null;
  }
  const axes = new Step(node, node.output[0] ?? '', search.inferred).integers(1, 'axes');
  return axes !== null && isLastAxis(search, input, axes) ? input : null;
}

// --------------------------------------------------------------------------------------------- operands

function isLastAxis({ inferred }: Search, value: string, axes: readonly number[]): boolean {
  const rank = inferred.get(value)?.sizes?.length;
  return axes.length === 1 && (axes[0] === -1 || (rank !== undefined && axes[0] === rank - 1));
}

/** Returns the constant of two operands and the other one; null unless exactly one is constant. */
function constantOperand(
  { constants }: Search,
  { input }: NodeProto,
): { constant: string; other: string } | null {
  const [first = '', second = ''] = input;
  if (constants.has(first) === constants.has(second)) return null;
  return constants.has(first) ? { constant: first, other: second } : { constant: second, other: first };
}

/** Returns the value from which another differs only in its type. */
function sourceOf(search: Search, value: string): string {
  let source = value;
  for (let step = 0; step < maxSteps; ++step) {
    const node = search.graph.producer(source);
    if (node === undefined || !isTransparent(search, node)) break;
    source = node.input[0] ?? '';
  }
  return source;
}
