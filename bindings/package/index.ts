/**
 * The cross-attention layer of diffusion models in WebAssembly: `await init()`, then make a DiffusionCrossAttention and
 * Tensors.
 *
 * @packageDocumentation
 */
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
export { CompiledGraph, ComputationNode, compile, toOnnx } from './graph';
export type { CompileOptions } from './graph';
export { DiffusionCrossAttention } from './layer';
export type { AttentionOptions, LayerOptions } from './layer';
export { init, memoryInUse } from './runtime';
export type { InitOptions, RuntimeInfo } from './runtime';
export { Tensor } from './tensor';
export type { LoadWeightsOptions, WeightLoadResult, WeightLoadValidation } from './weights';
