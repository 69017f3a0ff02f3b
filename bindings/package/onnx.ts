/**
 * ONNX models beyond what the main entry writes: attention as ONNX Runtime's own operator, and layers out of models.
 *
 * @packageDocumentation
 */
export { fromOnnx } from './onnx/from_onnx';
export type { FromOnnxOptions, ImportedAttention } from './onnx/from_onnx';
export { toOnnx } from './onnx/to_onnx_runtime';
export type { ToOnnxRuntimeOptions } from './onnx/to_onnx_runtime';
