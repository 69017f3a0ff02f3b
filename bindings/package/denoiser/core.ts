// Types of the denoiser's WebAssembly module that bindings/embind defines.
import type { CoreBytes, CoreHandle, CoreModule } from '../core';
import type { AdamOptions, TrainingBatch } from './training_on_gpu';

export interface CoreConfiguration {
  imageSize: number;
  mapSize: number;
  blocks: number;
  heads: number;
  maxWords: number;
  parameterCount: number;
}

/** Architecture of a new model. */
export interface DenoiserOptions {
  /** Pixels along a side of a picture. Default 32, the size of scenes. */
  imageSize?: number;
  /** Features of a pixel. Default 16. */
  pixelFeatures?: number;
  /**
   * Convolution blocks at each resolution before the transformer, plus one after it; 0 for none. Default 1.
   */
  pixelBlocks?: number;
  /** Pixels along a side of a patch, which is one token: a power of two that divides imageSize. Default 4. */
  patch?: number;
  /** Features of a token. Default 128. */
  features?: number;
  /** Transformer blocks. Default 5. */
  blocks?: number;
  /** Heads of the transformer's attentions. Default 4. */
  heads?: number;
  /** Features of a word. Default 128. */
  textFeatures?: number;
  /** Self-attention blocks of the text encoder. Default 2. */
  textBlocks?: number;
  /** Heads of the text encoder's attentions. Default 4. */
  textHeads?: number;
  /** Seed of the initial weights, 0 to 2^53 - 1. Default 0. */
  seed?: number;
}

export interface CoreDenoiser extends CoreHandle {
  save(dtype: string): CoreBytes;
  describe(): CoreConfiguration;
  words(): string[];
  /** Returns undefined if there are no low-rank updates. */
  loraWords(): string[] | undefined;
  loadLora(file: CoreBytes): void;
  unloadLora(): void;
  saveLora(): CoreBytes;
  setLoraScale(scale: number): void;
}

export interface CoreSamplerOptions {
  prompt: string;
  seed: number;
  steps: number;
  guidance: number;
  eta: number;
  wordWeights: readonly number[];
  maps: boolean;
  edit:
    | {
        from: string;
        wordWeights: readonly number[];
        crossSteps: number;
        selfSteps: number;
        keepElsewhere: boolean;
      }
    | undefined;
}

export interface CoreSampler extends CoreHandle {
  advance(): boolean;
  step(): number;
  /** picture and maps return views that are valid until the next call of either. */
  picture(): Float32Array;
  maps(block: number, head: number): Float32Array;
}

export interface CoreFineTunerOptions {
  word: string;
  like: string;
  pictures: readonly Float32Array[];
  captions: readonly (readonly string[])[];
  rank: number;
  learningRate: number;
  batch: number;
  rehearsal: number;
  shift: number;
  seed: number;
}

export interface CoreFineTuner extends CoreHandle {
  step(done: number): number;
}

export interface CoreTrainerOptions {
  seed: number;
  batch: number;
  averageDecay: number;
  singles: number;
  insides: number;
  timeMean: number;
  timeDeviation: number;
  alignment: number;
}

export interface CoreTrainer extends CoreHandle {
  step(learningRate: number): number;
  /** Returns views that are valid until the next call. */
  draw(step: number): TrainingBatch;
  adamOptions(): AdamOptions;
  steps(): number;
  swapEma(): void;
  saveCheckpoint(): CoreBytes;
  loadCheckpoint(file: CoreBytes): void;
}

export interface CoreScene {
  caption: string;
  plainCaption: string;
  background: string;
  backgroundSaid: boolean;
  objects: {
    shape: string;
    colour: string;
    size: string;
    x: number;
    y: number;
    radius: number;
    box: { left: number; top: number; right: number; bottom: number };
  }[];
  links: { subject: number; relation: string; object: number }[];
}

/** Classes and functions of the module that may throw. */
export const coreClasses = ['Bytes', 'DenoiserModel', 'Sampler', 'FineTuner', 'Trainer'] as const;
export const coreFunctions = ['setThreads', 'randomScene'] as const;

export interface DenoiserCore extends CoreModule {
  DenoiserModel: {
    create(options: Required<DenoiserOptions>): CoreDenoiser;
    load(file: CoreBytes): CoreDenoiser;
  };
  Sampler: { create(model: CoreDenoiser, options: CoreSamplerOptions): CoreSampler };
  FineTuner: { create(model: CoreDenoiser, options: CoreFineTunerOptions): CoreFineTuner };
  Trainer: { create(model: CoreDenoiser, options: CoreTrainerOptions): CoreTrainer };
  splitWords(prompt: string): string[];
  learningRate(step: number, most: number, warmUp: number, steps: number, fall: number): number;
  randomScene(seed: number, heldOut: boolean, objects: number, picture: Float32Array): CoreScene;
}
