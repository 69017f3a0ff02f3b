// Products of two matrices that both depend on a model's inputs: MatMul, Einsum and FusedMatMul.
import type { Constants } from './constants';
import type { NodeProto } from './model';
import { einsumEquation, floatAttribute, integerAttribute, isStandard, refuse } from './model_graph';

export interface Product {
  readonly node: NodeProto;
  /** The axis of the second operand over which the product sums. In the first operand it is the last axis. */
  readonly summedAxis: -1 | -2;
  readonly factor: number;
}

/** Einsum equations: common batch axes, then two axes of each operand. */
const sumOverColumns = /^([a-z]*)([a-z])([a-z]),\1([a-z])\3->\1\2\4$/i;
const sumOverRows = /^([a-z]*)([a-z])([a-z]),\1\3([a-z])->\1\2\4$/i;

/** True for a product of two values that depend on the model's inputs, in whatever form. */
export function isProduct(constants: Constants, { opType, input }: NodeProto): boolean {
  if (!/MatMul|Einsum|^Gemm$/.test(opType)) return false;
  const [first = '', second = ''] = opType === 'QLinearMatMul' ? [input[0], input[3]] : input;
  return first !== '' && second !== '' && !constants.has(first) && !constants.has(second);
}

/**
 * Returns a node for which isProduct is true as a product of matrices. Throws WeightsError for other forms.
 */
export function asProduct(node: NodeProto): Product {
  if (node.input.length === 2) {
    if (isStandard(node)) {
      const equation = einsumEquation(node);
      if (node.opType === 'MatMul' || sumOverRows.test(equation)) return { node, summedAxis: -2, factor: 1 };
      if (sumOverColumns.test(equation)) return { node, summedAxis: -1, factor: 1 };
    } else if (node.domain === 'com.microsoft' && node.opType === 'FusedMatMul') return fusedProduct(node);
  }
  const form = node.opType === 'Einsum' ? `computes ${JSON.stringify(einsumEquation(node))}` : 'multiplies';
  return refuse(node, `${form} in an attention; expected MatMul, FusedMatMul or an Einsum of matrices`);
}

/**
 * ONNX Runtime's optimizer fuses a product with a scale after it and a transpose before it into FusedMatMul.
 */
function fusedProduct(node: NodeProto): Product {
  for (const name of ['transA', 'transBatchA', 'transBatchB']) {
    if (integerAttribute(node, name, 0) !== 0) refuse(node, `has ${name}; expected none`);
  }
  const summedAxis = integerAttribute(node, 'transB', 0) === 0 ? -2 : -1;
  return { node, summedAxis, factor: floatAttribute(node, 'alpha', 1) };
}
