// Helpers for tests that change ONNX models and pass them to fromOnnx.
import onnxProto from 'onnx-proto';
import { assertThrows } from './errors.mjs';
import { makeModel } from './onnx_torch.mjs';
import { fromOnnx, WeightsError } from './onnx_package.mjs';

const { ModelProto } = onnxProto.onnx;

/** Asserts that fromOnnx throws a WeightsError whose message contains all parts. */
export const refuse = (file, ...parts) => assertThrows(() => fromOnnx(file), WeightsError, ...parts);

/** Returns the model of makeModel(options) after change(graph, model). */
export function changed(change, options = {}) {
  const model = ModelProto.decode(makeModel(options).file);
  change(model.graph, model);
  return Uint8Array.from(ModelProto.encode(model).finish());
}

export const nodeOf = (graph, opType) => graph.node.find((node) => node.opType === opType);
export const attributeOf = (node, name) => node.attribute.find((attribute) => attribute.name === name);
export const ofType = (name) => `of type "${name}"`;
