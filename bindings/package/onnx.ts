/**
 * Import of attention layers from ONNX models, and export with the attention operator of ONNX Runtime. Needs
 * `await init()` of the main entry.
 *
 * @packageDocumentation
 */
export { fromOnnx } from './onnx/from_onnx';
export type { ImportedAttention, ImportedAttentions, RefusedAttention } from './onnx/from_onnx';
export type { FromOnnxOptions } from './onnx/import_options';
export { toOnnx } from './onnx/to_onnx_runtime';
export type { ToOnnxRuntimeOptions } from './onnx/to_onnx_runtime';
