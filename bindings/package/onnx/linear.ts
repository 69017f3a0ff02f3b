// Linear layers in a model's graph: products with a constant matrix.
import { show } from '../checks';
import type { TypedArray } from '../core';
import type { NodeProto, TensorProto } from './model';
import { attributeOf, floatAttribute, integerAttribute, isStandard, maxSteps, refuse } from './model_graph';
import type { ModelGraph } from './model_graph';
import { elementCount, readElements } from './tensors';

/** y = x·Wᵀ; for Gemm with its bias added. */
export interface Linear {
  readonly node: NodeProto;
  /** Name of the input's value. */
  readonly input: string;
  readonly output: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weight: TensorProto;
  /** True if the file stores the weight as [inFeatures, outFeatures]. */
  readonly isTransposed: boolean;
  readonly bias: TensorProto | null;
}

/** True for operators that return their first input unchanged, except for its type. */
export const isTransparent = (node: NodeProto): boolean =>
  isStandard(node) && ['Identity', 'Cast', 'Dropout'].includes(node.opType);

/** True for operators that change the shape but not the order of elements in memory. */
export const isReshape = (node: NodeProto): boolean =>
  isStandard(node) && ['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'].includes(node.opType);

export const isTranspose = (node: NodeProto): boolean => isStandard(node) && node.opType === 'Transpose';

interface Constant {
  tensor: TensorProto;
  /** True if it is transposed an odd number of times. */
  isTransposed: boolean;
}

/**
 * Returns the tensor of the file that a value is a copy, a conversion or a transpose of; null for other
 * values.
 */
export function findConstant(graph: ModelGraph, value: string): Constant | null {
  let isTransposed = false;
  let name = value;
  for (let step = 0; step < maxSteps; ++step) {
    const tensor = graph.constants.get(name);
    if (tensor !== undefined) return { tensor, isTransposed };
    const node = graph.producer(name);
    if (node === undefined) return null;
    if (isTranspose(node)) {
      const perm = attributeOf(node, 'perm')?.ints ?? [1, 0];
      if (perm.join() !== '1,0') return null;
      isTransposed = !isTransposed;
    } else if (!isTransparent(node)) return null;
    name = node.input[0] ?? '';
  }
  return null;
}

/** Returns the node as a linear layer; null if it is none. */
export function asLinear(graph: ModelGraph, node: NodeProto): Linear | null {
  const isGemm = node.opType === 'Gemm';
  if (!isStandard(node) || !(isGemm || node.opType === 'MatMul')) return null;
  const [input = '', matrix = '', added = ''] = node.input;
  const constant = findConstant(graph, matrix);
  if (constant === null) return null;
  const { tensor } = constant;
  if (tensor.dims.length !== 2 || elementCount(tensor.dims) === null) {
    refuse(node, `has the weight ${show(tensor.name)} of shape ${show(tensor.dims)}; expected a matrix`);
  }
  const isPlain =
    !isGemm ||
    (integerAttribute(node, 'transA', 0) === 0 &&
      floatAttribute(node, 'alpha', 1) === 1 &&
      (added === '' || floatAttribute(node, 'beta', 1) === 1));
  if (!isPlain) refuse(node, 'has transA, alpha or beta; expected x·Wᵀ + bias');
  // The matrix of MatMul is [inFeatures, outFeatures].
  const isFlipped = isGemm && integerAttribute(node, 'transB', 0) !== 0;
  const isTransposed = constant.isTransposed === isFlipped;
  const [rows, columns] = tensor.dims as [number, number];
  return {
    node,
    input,
    output: node.output[0] ?? '',
    inFeatures: isTransposed ? rows : columns,
    outFeatures: isTransposed ? columns : rows,
    weight: tensor,
    isTransposed,
    bias: isGemm && added !== '' ? constantBias(graph, node, added) : null,
  };
}

function constantBias(graph: ModelGraph, node: NodeProto, value: string): TensorProto {
  const constant = findConstant(graph, value);
  return constant?.tensor ?? refuse(node, `has the bias ${show(value)}; expected a constant`);
}

/** Returns the constant that a node adds to `value`; null if the node does anything else. */
export function addedConstant(graph: ModelGraph, node: NodeProto, value: string): TensorProto | null {
  if (node.opType !== 'Add' || !isStandard(node)) return null;
  const other = node.input[0] === value ? node.input[1] : node.input[0];
  return findConstant(graph, other ?? '')?.tensor ?? null;
}

/** True if all elements are zero. */
export const isZero = (bias: TensorProto): boolean => readElements(bias).every((element) => element === 0);

/** True if a tensor has one element for each channel, along its last axis. */
export const isPerChannel = ({ dims }: TensorProto, channels: number): boolean =>
  elementCount(dims) === channels && dims.at(-1) === channels;

/** Returns the weight's elements as [outFeatures, inFeatures]. */
export function readWeight({ weight, isTransposed, inFeatures, outFeatures }: Linear): TypedArray {
  const stored = readElements(weight);
  if (!isTransposed) return stored;
  const result = stored.slice();
  for (let row = 0; row < outFeatures; ++row) {
    for (let column = 0; column < inFeatures; ++column) {
      result[row * inFeatures + column] = stored[column * outFeatures + row]!;
    }
  }
  return result;
}
