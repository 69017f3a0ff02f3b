// Linear layers in a model's graph: products with a constant matrix.
import { show } from '../checks';
import type { TypedArray } from '../core';
import { valueOf } from './symbolic_size';
import { WeightsError } from '../errors';
import type { Constants } from './constants';
import type { InferredValue } from './inferred_value';
import type { NodeProto } from './model';
import { attributeOf, floatAttribute, hasOldBroadcast, integerAttribute, isStandard } from './model_graph';
import { refuse } from './model_graph';
import type { ModelGraph } from './model_graph';
import { isFloatType, refuseType } from './tensor_elements';

/** What is known of a graph. */
export interface Search {
  readonly graph: ModelGraph;
  readonly inferred: ReadonlyMap<string, InferredValue>;
  /** Why a small tensor, which may be a shape, cannot be read; empty if all can. */
  readonly unreadable: readonly string[];
  readonly constants: Constants;
}

/** y = x·Wᵀ; for Gemm with its bias added. */
export interface Linear {
  readonly node: NodeProto;
  /** Name of the input's value. */
  readonly input: string;
  readonly output: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Name of a constant. */
  readonly weight: string;
  /** True if the constant is [inFeatures, outFeatures]. */
  readonly isTransposed: boolean;
  /** Name of a constant. */
  readonly bias: string | null;
}

/** Which outputs of a linear layer a head has: those from `offset`, at a distance of `headStride`. */
export interface Rows {
  readonly offset: number;
  readonly headStride: number;
  readonly headDim: number;
  readonly heads: number;
}

/**
 * True for operators that return their first input unchanged, except for its type: a Cast between types of
 * floats, and a Dropout, which in a model for inference has no effect.
 */
export function isTransparent({ constants }: Search, node: NodeProto): boolean {
  if (!isStandard(node)) return false;
  if (node.opType === 'Cast') {
    // A model has no integers where attention has its operands, unless it converts them.
    return isFloatType(integerAttribute(node, 'to', 0));
  }
  if (node.opType !== 'Dropout') return node.opType === 'Identity';
  const training = node.input[2] ?? '';
  return training === '' || constants.uniform(training) === 0;
}

/** True for operators that change the shape but not the order of elements in memory. */
export const isReshape = (node: NodeProto): boolean =>
  isStandard(node) && ['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'].includes(node.opType);

export const isTranspose = (node: NodeProto): boolean => isStandard(node) && node.opType === 'Transpose';

/** True for a node that adds, subtracts, multiplies or divides two values as NumPy broadcasts them. */
export const isArithmetic = (node: NodeProto, ...types: readonly string[]): boolean =>
  isStandard(node) && types.includes(node.opType) && node.input.length === 2 && !hasOldBroadcast(node);

/** Returns a shape without symbols; null for others. */
export function knownShape({ inferred }: Search, value: string): number[] | null {
  const sizes = inferred.get(value)?.sizes?.map(valueOf);
  return sizes?.every((size) => size !== null) ? (sizes as number[]) : null;
}

/** Returns the node as a linear layer; null if it is none. */
export function asLinear(search: Search, node: NodeProto): Linear | null {
  const { graph, constants } = search;
  const isGemm = node.opType === 'Gemm';
  if (!isStandard(node) || !(isGemm || node.opType === 'MatMul')) return null;
  const [input = '', matrix = '', added = ''] = node.input;
  if (!constants.has(matrix) || constants.has(input)) return null;
  const shape = knownShape(search, matrix);
  if (shape?.length !== 2) {
    const { name = matrix, dims = shape } = constants.origin(matrix) ?? {};
    refuse(node, `has the weight ${show(name)} of shape ${show(dims)}; expected a matrix`);
  }
  const isPlain =
    !isGemm ||
    (integerAttribute(node, 'transA', 0) === 0 &&
      floatAttribute(node, 'alpha', 1) === 1 &&
      (added === '' || floatAttribute(node, 'beta', 1) === 1));
  if (!isPlain) refuse(node, 'has transA, alpha or beta; expected x·Wᵀ + bias');
  if (added !== '' && !constants.has(added)) {
    refuse(node, `has the bias ${show(added)}; expected a constant`);
  }
  let weight = matrix;
  // The matrix of MatMul is [inFeatures, outFeatures].
  let isTransposed = !isGemm || integerAttribute(node, 'transB', 0) === 0;
  const transpose = graph.producer(matrix);
  // The layer reads a weight in both orders, which is faster than to transpose it first.
  if (transpose !== undefined && isTranspose(transpose)) {
    const perm = attributeOf(transpose, 'perm')?.ints ?? [1, 0];
    if (perm.join() === '1,0') {
      weight = transpose.input[0] ?? '';
      isTransposed = !isTransposed;
    }
  }
  const [rows, columns] = shape as [number, number];
  const isFlipped = isGemm && integerAttribute(node, 'transB', 0) !== 0;
  return {
    node,
    input,
    output: node.output[0] ?? '',
    inFeatures: isFlipped ? columns : rows,
    outFeatures: isFlipped ? rows : columns,
    weight,
    isTransposed,
    bias: isGemm && added !== '' ? added : null,
  };
}

/** Returns the constant that a node adds to `value`; null if the node does anything else. */
export function addedConstant({ constants }: Search, node: NodeProto, value: string): string | null {
  if (!isArithmetic(node, 'Add')) return null;
  const other = (node.input[0] === value ? node.input[1] : node.input[0]) ?? '';
  return constants.has(other) ? other : null;
}

/** True if all elements are zero. */
export const isZero = ({ constants }: Search, bias: string): boolean =>
  constants.read(bias).elements.every((element) => element === 0);

/** True if a constant has one element for each channel, along its last axis. */
export function isPerChannel(search: Search, constant: string, channels: number): boolean {
  const shape = knownShape(search, constant);
  return shape !== null && shape.at(-1) === channels && shape.slice(0, -1).every((size) => size === 1);
}

/** Returns the elements of a constant of floats. */
function readFloats({ constants }: Search, value: string): TypedArray {
  const origin = constants.origin(value);
  if (!isFloatType(constants.type(value)) && origin !== null) refuseType(origin);
  const { elements } = constants.read(value);
  const isFloat = elements instanceof Float32Array || elements instanceof Float64Array;
  return isFloat ? elements : Float64Array.from(elements);
}

/** Returns a bias with one element for each output. */
export function readBias(
  search: Search,
  { bias, outFeatures }: Pick<Linear, 'bias' | 'outFeatures'>,
): TypedArray {
  if (bias === null) return new Float32Array(outFeatures);
  const elements = readFloats(search, bias);
  if (elements.length === outFeatures) return elements;
  if (elements.length === 1)
    return elements.constructor === Float32Array
      ? new Float32Array(outFeatures).fill(elements[0]!)
      : new Float64Array(outFeatures).fill(elements[0]!);
  throw new WeightsError(`bias ${show(bias)} has ${elements.length} elements; expected ${outFeatures}`);
}

/** Returns the bias of the heads as [heads · headDim]; zeros for none. */
export function readHeadBias(
  search: Search,
  bias: string | null,
  { offset, headStride, headDim, heads }: Rows,
): TypedArray {
  const size = heads * headDim;
  if (bias === null) return new Float32Array(size);
  const stored = readFloats(search, bias);
  const result = stored instanceof Float32Array ? new Float32Array(size) : new Float64Array(size);
  return result.map(
    (_, index) => stored[offset + Math.floor(index / headDim) * headStride + (index % headDim)]!,
  );
}

/** Returns the weights of the heads as [heads · headDim, inFeatures]. */
export function readWeight(search: Search, linear: Linear, rows: Rows): TypedArray {
  const { weight, isTransposed, inFeatures, outFeatures } = linear;
  const { offset, headStride, headDim, heads } = rows;
  const stored = readFloats(search, weight);
  if (stored.length !== inFeatures * outFeatures) {
    throw new WeightsError(
      `tensor ${show(weight)} has ${stored.length} elements; expected ${inFeatures * outFeatures}`,
    );
  }
  const isWhole = headStride === headDim && offset === 0 && heads * headDim === outFeatures;
  if (isWhole && !isTransposed) return stored;
  const size = heads * headDim * inFeatures;
  const result = stored instanceof Float32Array ? new Float32Array(size) : new Float64Array(size);
  let to = 0;
  for (let head = 0; head < heads; ++head) {
    for (let channel = 0; channel < headDim; ++channel) {
      const row = offset + head * headStride + channel;
      const begin = isTransposed ? row : row * inFeatures;
      const step = isTransposed ? outFeatures : 1;
      for (let column = 0; column < inFeatures; ++column) result[to++] = stored[begin + column * step]!;
    }
  }
  return result;
}
