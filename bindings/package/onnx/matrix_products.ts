// Products of two matrices that both depend on a model's inputs: MatMul, Einsum and FusedMatMul.
import { findConstant } from './linear';
import type { NodeProto } from './model';
import { einsumEquation, floatAttribute, integerAttribute, isStandard, refuse } from './model_graph';
import type { ModelGraph } from './model_graph';

export interface Product {
  readonly node: NodeProto;
  /** The axis of the second operand over which the product sums. In the first operand it is the last axis. */
  readonly summedAxis: -1 | -2;
  readonly factor: number;
}

/** Einsum equations: common batch axes, then two axes of each operand. */
const sumOverColumns = /^([a-z]*)([a-z])([a-z]),\1([a-z])\3->\1\2\4$/i;
const sumOverRows = /^([a-z]*)([a-z])([a-z]),\1\3([a-z])->\1\2\4$/i;

/** Returns the node as a product; null if it is none. */
export function asProduct(graph: ModelGraph, node: NodeProto): Product | null {
  const product = recognize(node);
  const isOfInputs =
    node.input.length === 2 && node.input.every((value) => findConstant(graph, value) === null);
  return isOfInputs ? product : null;
}

function recognize(node: NodeProto): Product | null {
  if (isStandard(node)) {
    const equation = einsumEquation(node);
    if (node.opType === 'MatMul' || sumOverRows.test(equation)) return { node, summedAxis: -2, factor: 1 };
    return sumOverColumns.test(equation) ? { node, summedAxis: -1, factor: 1 } : null;
  }
  return node.domain === 'com.microsoft' && node.opType === 'FusedMatMul' ? fusedProduct(node) : null;
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
