/**
 * The cross-attention layer of diffusion models in WebAssembly: `await init()`, then make a DiffusionCrossAttention and
 * Tensors.
 *
 * @packageDocumentation
 */
export type { DeviceChoice, DeviceOptions, GpuMemoryInUse, Location } from './accelerator';
export type { DType, TypedArray } from './core';
export {
  ArgumentError,
  CrossAttentionError,
  DisposedError,
  NotInitializedError,
  OutOfMemoryError,
  ShapeError,
  WeightsError,
} from './errors';
export { CompiledGraph, compile } from './compile';
export type { CompileOptions, CompilePasses } from './compile';
export { composeGraph } from './compose';
export type { ComposedGraph } from './compose';
export type { UsersBuffer, UsersDevice } from './gpu_types';
export { ComputationNode } from './graph';
export type { GraphOptions } from './graph';
export { DiffusionCrossAttention } from './layer';
export type { AsyncAttentionOptions, AttentionOptions, LayerOptions } from './layer_options';
export { toOnnx } from './onnx/to_onnx';
export type { ToOnnxOptions } from './onnx/to_onnx';
export { gpuMemoryInUse, init, memoryInUse, synchronize } from './runtime';
export type { InitOptions, RuntimeInfo } from './runtime';
export { Tensor } from './tensor';
export type { LoadWeightsOptions, WeightLoadResult, WeightLoadValidation } from './weights';
