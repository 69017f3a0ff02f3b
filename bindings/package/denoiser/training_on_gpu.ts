// What the package knows of training on a graphics card: an interface, for bindings/webgpu is loaded only where it is asked for.
import type { UsersDevice } from '../gpu_types';

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The gradient of all parameters together is scaled down to this length; 0: never. */
  readonly maxGradientNorm: number;
  readonly averageDecay: number;
}

/** What a step learns from: views into the core's memory, or copies. Pictures are pixels [batch, imageSize², 3]. */
export interface TrainingBatch {
  readonly pictures: Float32Array;
  readonly noisy: Float32Array;
  /** [batch, time features] */
  readonly timestepEmbedding: Float32Array;
  /** [batch, tokens, place values]; NaN: nothing is to be known. */
  readonly places: Float32Array;
  /** [batch]: what squared errors count. */
  readonly weights: Float32Array;
  /** [batch, maxWords], 0: filling. */
  readonly ids: Int32Array;
}

export interface TrainingOptions {
  /** Of the trainer that goes on there. */
  readonly checkpoint: Uint8Array;
  readonly batch: number;
  readonly adam: AdamOptions;
  readonly alignment: number;
  /** Of every batch, in numbers. */
  readonly sizes: { readonly timestepEmbedding: number; readonly places: number };
  readonly gpuDevice: UsersDevice | undefined;
}

/** A training on the card. Steps are submitted in the order in which they are asked for. */
export interface TrainingOnGpu {
  /** The card, for people. */
  readonly description: string;
  /** Steps that are submitted, those before the checkpoint counted. */
  readonly steps: number;
  /** The loss before the step, once it is done. Rejects with DeviceError, OutOfMemoryError. */
  step(batch: TrainingBatch, learningRate: number): Promise<number>;
  /** A checkpoint after all steps that were submitted. */
  checkpoint(): Promise<Uint8Array>;
  dispose(): void;
}

/** Throws DeviceError where there is no card, or the training does not fit it. */
export type StartTraining = (options: TrainingOptions) => Promise<TrainingOnGpu>;
