// What all entries of the denoiser export, besides `init`.
import type { FineTuner, FineTunerOptions } from './fine_tuner';

export {
  AbortedError,
  ArgumentError,
  CrossAttentionError,
  DeviceError,
  DisposedError,
  NotInitializedError,
  OutOfMemoryError,
  ShapeError,
  WeightsError,
} from '../errors';
export type { DenoiserOptions } from './core';
export { Denoiser } from './denoiser';
export type { FineTuner, FineTunerOptions } from './fine_tuner';
export { learningRate } from './learning_rate';
export type { LearningRateOptions } from './learning_rate';
export { memoryInUse } from './runtime';
export type { DenoiserRuntimeInfo } from './runtime';
export type { GpuTrainer } from './gpu_trainer';
export type { EditOptions, Sampler, SamplerFrame, SamplerOptions } from './sampler';
export { randomScene } from './scenes';
export type { Scene } from './scenes';
export type { Trainer, TrainerOptions } from './trainer';
export type { ModuleInfo, ModuleOptions } from '../module_options';
export type { UsersDevice, UsersUrl } from '../platform_types';
export { version } from '../version';

/** @deprecated Use FineTuner. */
export type Learner = FineTuner;
/** @deprecated Use FineTunerOptions. */
export type LearnerOptions = FineTunerOptions;
