// The interface of training on the GPU, types only: bindings/webgpu/denoiser, which implements it, is loaded
// on demand.
import type { UsersDevice } from '../platform_types';

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The gradient of all parameters is clipped to this norm; 0 for no clipping. */
  readonly maxGradientNorm: number;
  /** Decay of the EMA of the parameters. */
  readonly averageDecay: number;
}

/**
 * The batch of a step: views into the core's memory, or copies. Pictures are pixels [batch, imageSize², 3].
 */
export interface TrainingBatch {
  readonly pictures: Float32Array;
  readonly noisy: Float32Array;
  /** Timestep embedding, [batch, time features]. */
  readonly timestepEmbedding: Float32Array;
  /** Targets of the alignment loss, [batch, tokens, values]; NaN for no target. */
  readonly places: Float32Array;
  /** Weights of squared errors, [batch]. */
  readonly weights: Float32Array;
  /** Word ids, [batch, maxWords]; 0 is padding. */
  readonly ids: Int32Array;
}

export interface TrainingOptions {
  /** Checkpoint of the trainer that continues on the GPU. */
  readonly checkpoint: Uint8Array;
  readonly batch: number;
  readonly adam: AdamOptions;
  readonly alignment: number;
  /** Number of elements in each batch. */
  readonly sizes: { readonly timestepEmbedding: number; readonly places: number };
  readonly gpuDevice: UsersDevice | undefined;
}

/** A training on the GPU. Steps are submitted in the order of the calls. */
export interface TrainingOnGpu {
  /** A description of the GPU. */
  readonly description: string;
  /** Submitted steps, including those before the checkpoint. */
  readonly steps: number;
  /**
   * Resolves with the loss before the step, when it is done. Rejects with DeviceError or OutOfMemoryError.
   */
  step(batch: TrainingBatch, learningRate: number): Promise<number>;
  /** Resolves with a checkpoint after all submitted steps. */
  checkpoint(): Promise<Uint8Array>;
  dispose(): void;
}

/** Rejects with DeviceError if there is no GPU or the training exceeds its limits. */
export type StartTraining = (options: TrainingOptions) => Promise<TrainingOnGpu>;
