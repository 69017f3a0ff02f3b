// Rows of scores whose keys are all masked: ONNX's softmax of them is NaN, that of the layer is zero.
import type { DType } from '../core';
import { makeAttribute, makeNode } from './model';
import type { GraphProto, NodeProto } from './model';
import { floatTensor, integerTensor } from './tensors';

/** AttributeProto.AttributeType */
const attributeTypes = { int: 2, ints: 7 } as const;

/**
 * Returns nodes that compute whether all scores of a row are -infinity, as the value `name` [..., rows, 1].
 * A row with NaN is none of them, so that NaN in the model's inputs stays visible.
 */
export function maskedRows(graph: GraphProto, name: string, scores: string, opset: number): NodeProto[] {
  const [maximum, axes] = [`${name}.maximum`, `${name}.axes`];
  const keepsAxes = opset < 18;
  if (!keepsAxes) graph.initializer.push(integerTensor(axes, [-1]));
  const attribute = keepsAxes ? [makeAttribute({ name: 'axes', type: attributeTypes.ints, ints: [-1] })] : [];
  const input = keepsAxes ? [scores] : [scores, axes];
  const negativeOnly = makeAttribute({ name: 'detect_positive', type: attributeTypes.int, i: 0 });
  return [
    makeNode({ name: maximum, opType: 'ReduceMax', input, output: [maximum], attribute }),
    makeNode({ name, opType: 'IsInf', input: [maximum], output: [name], attribute: [negativeOnly] }),
  ];
}

/** Adds a zero of a dtype, and returns its name. */
export function addZero(graph: GraphProto, name: string, dtype: DType): string {
  const elements = dtype === 'float32' ? new Float32Array(1) : new Float64Array(1);
  graph.initializer.push(floatTensor(name, [], elements));
  return name;
}
