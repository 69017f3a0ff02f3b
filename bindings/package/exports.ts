// What all entries of the layer export, besides `init`.
export { AdamOptimizer } from './adam_optimizer';
export type { AdamOptions } from './adam_optimizer';
export type { DeviceChoice, DeviceOptions } from './accelerator';
export { AttentionRecorder } from './attention_recorder';
export type { HeatMapOptions, RecorderOptions, RecordOptions } from './attention_recorder';
export type { DType, TypedArray } from './core';
export {
  AbortedError,
  ArgumentError,
  CrossAttentionError,
  DisposedError,
  NotInitializedError,
  OutOfMemoryError,
  ShapeError,
  WeightsError,
} from './errors';
export { compile } from './compile';
export type { CompileOptions, CompilePasses } from './compile_options';
export { CompiledGraph } from './compiled_graph';
export { composeGraph } from './compose';
export type { ComposedGraph, ComposeOptions } from './compose';
export { ComputationNode } from './graph';
export type { GraphOptions } from './graph';
export type { InitOptions } from './init';
export type { ModuleOptions } from './module_options';
export { DiffusionCrossAttention } from './layer';
export type { AsyncAttentionOptions, AttentionOptions, LayerOptions } from './layer_options';
export type { LoadLoraOptions, LoraLoadResult } from './loras';
export { toOnnx } from './onnx/to_onnx';
export type { ToOnnxOptions } from './onnx/to_onnx';
export type { UsersBuffer, UsersDevice, UsersUrl } from './platform_types';
export type { GpuMemoryInUse, Location } from './resident';
export { gpuMemoryInUse, memoryInUse, synchronize } from './runtime';
export type { RuntimeInfo } from './runtime';
export { Tensor } from './tensor';
export { WeightFile } from './weight_file';
export type { OpenOptions, WeightFileSource } from './file_content';
export type {
  LoadWeightsOptions,
  WeightBytes,
  WeightLoadResult,
  WeightLoadValidation,
  WeightSource,
} from './weights';
