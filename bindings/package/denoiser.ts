/**
 * Text to image with the cross-attention layer. Call `await init()`, then `Denoiser.load(weights)` and its
 * `sampler`.
 *
 * @packageDocumentation
 */
import type { FineTuner, FineTunerOptions } from './denoiser/fine_tuner';

export {
  ArgumentError,
  CrossAttentionError,
  DeviceError,
  DisposedError,
  NotInitializedError,
  OutOfMemoryError,
  ShapeError,
  WeightsError,
} from './errors';
export type { DenoiserOptions } from './denoiser/core';
export { Denoiser } from './denoiser/denoiser';
export type { FineTuner, FineTunerOptions } from './denoiser/fine_tuner';
export { learningRate } from './denoiser/learning_rate';
export type { LearningRateOptions } from './denoiser/learning_rate';
export { init, memoryInUse } from './denoiser/runtime';
export type { DenoiserRuntimeInfo } from './denoiser/runtime';
export type { GpuTrainer } from './denoiser/gpu_trainer';
export type { EditOptions, Sampler, SamplerFrame, SamplerOptions } from './denoiser/sampler';
export { randomScene } from './denoiser/scenes';
export type { Scene } from './denoiser/scenes';
export type { Trainer, TrainerOptions } from './denoiser/trainer';
export type { ModuleInfo, ModuleOptions } from './module';
export type { UsersDevice, UsersUrl } from './platform_types';
export { version } from './version';

/** @deprecated Use FineTuner. */
export type Learner = FineTuner;
/** @deprecated Use FineTunerOptions. */
export type LearnerOptions = FineTunerOptions;
