// Linear layers in a model's graph: a product with a matrix that the file holds.
import { show } from '../checks';
import type { TypedArray } from '../core';
import { showName } from './model';
import type { NodeProto, TensorProto } from './model';
import { attributeOf, floatAttribute, integerAttribute, isStandard, mostSteps, refuse } from './model_graph';
import type { ModelGraph } from './model_graph';
import { elementCount, readElements } from './tensors';

/** y = x·Wᵀ, and for Gemm + bias. */
export interface Linear {
  readonly node: NodeProto;
  /** Names of values. */
  readonly input: string;
  readonly output: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weight: TensorProto;
  /** Whether the file holds it as [inFeatures, outFeatures]. */
  readonly isTransposed: boolean;
  readonly bias: TensorProto | null;
}

/** Operators that hand their first input on, element by element. */
export const isTransparent = (node: NodeProto): boolean =>
  isStandard(node) && ['Identity', 'Cast', 'Dropout'].includes(node.opType);

/** Operators that only rename the places of elements, which then lie in memory as before. */
export const isReshape = (node: NodeProto): boolean =>
  isStandard(node) && ['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'].includes(node.opType);

export const isTranspose = (node: NodeProto): boolean => isStandard(node) && node.opType === 'Transpose';

interface Constant {
  tensor: TensorProto;
  /** Whether it is transposed on its way, an odd number of times. */
  isTransposed: boolean;
}

/** What a value is, where it is nothing but a tensor of the file, copied, converted or (a matrix) transposed. */
export function findConstant(graph: ModelGraph, value: string): Constant | null {
  let isTransposed = false;
  let name = value;
  for (let step = 0; step < mostSteps; ++step) {
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

/** The node as a linear layer; null where it is none. */
export function asLinear(graph: ModelGraph, node: NodeProto): Linear | null {
  const isGemm = node.opType === 'Gemm';
  if (!isStandard(node) || !(isGemm || node.opType === 'MatMul')) return null;
  const [input = '', matrix = '', added = ''] = node.input;
  const constant = findConstant(graph, matrix);
  if (constant === null) return null;
  const { tensor } = constant;
  if (tensor.dims.length !== 2 || elementCount(tensor.dims) === null) {
    refuse(
      node,
      `takes the weight ${showName(tensor.name)} of shape ${show(tensor.dims)}; it takes a matrix`,
    );
  }
  const isPlain =
    !isGemm ||
    (integerAttribute(node, 'transA', 0) === 0 &&
      floatAttribute(node, 'alpha', 1) === 1 &&
      (added === '' || floatAttribute(node, 'beta', 1) === 1));
  if (!isPlain) refuse(node, 'has transA, alpha or beta; the layer takes x·Wᵀ + bias');
  // MatMul takes [inFeatures, outFeatures].
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
  return constant?.tensor ?? refuse(node, 'adds what the file does not hold; it takes a constant bias');
}

/** The tensor of the file that a node adds to `value`; null where it adds anything else. */
export function addedConstant(graph: ModelGraph, node: NodeProto, value: string): TensorProto | null {
  if (node.opType !== 'Add' || !isStandard(node)) return null;
  const other = node.input[0] === value ? node.input[1] : node.input[0];
  return findConstant(graph, other ?? '')?.tensor ?? null;
}

/** Whether a bias adds nothing. */
export const isZero = (bias: TensorProto): boolean => readElements(bias).every((element) => element === 0);

/** Whether a tensor has one element for each of so many channels, along its last axis. */
export const isPerChannel = ({ dims }: TensorProto, channels: number): boolean =>
  elementCount(dims) === channels && dims.at(-1) === channels;

/** The weight's elements as [outFeatures, inFeatures]. */
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
