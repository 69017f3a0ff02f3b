// The WebAssembly module of the denoiser as Embind shows it (bindings/embind).
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

/** What a new model is built from. Each is checked by the core. */
export interface DenoiserOptions {
  /** Pixels a side. Default 32, the size of scenes. */
  imageSize?: number;
  /** Of a pixel. Default 16. */
  pixelFeatures?: number;
  /** Blocks of convolutions at each resolution before the transformer, and one more after it; 0: none. Default 1. */
  pixelBlocks?: number;
  /** Pixels a side that make one token: a power of two that divides imageSize. Default 4. */
  patch?: number;
  /** Of a token. Default 128. */
  features?: number;
  /** Of the transformer. Default 5. */
  blocks?: number;
  /** Of attentions. Default 4. */
  heads?: number;
  /** Of a word. Default 128. */
  textFeatures?: number;
  /** Blocks in which words attend to each other. Default 2. */
  textBlocks?: number;
  /** Default 4. */
  textHeads?: number;
  /** Of the first weights. Default 0. */
  seed?: number;
}

export interface CoreDenoiser extends CoreHandle {
  save(dtype: string): CoreBytes;
  describe(): CoreConfiguration;
  words(): string[];
  /** undefined: there are no low-rank updates. */
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
  /** Views, good until the next one. */
  picture(): Float32Array;
  maps(block: number, head: number): Float32Array;
}

export interface CoreLearnerOptions {
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

export interface CoreLearner extends CoreHandle {
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
  /** Views, good until the next one. */
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

/** What of the module may throw. */
export const coreClasses = ['Bytes', 'DenoiserModel', 'Sampler', 'FineTuner', 'Trainer'] as const;
export const coreFunctions = ['setThreads', 'randomScene'] as const;

export interface DenoiserCore extends CoreModule {
  DenoiserModel: {
    create(options: Required<DenoiserOptions>): CoreDenoiser;
    load(file: CoreBytes): CoreDenoiser;
  };
  Sampler: { create(model: CoreDenoiser, options: CoreSamplerOptions): CoreSampler };
  FineTuner: { create(model: CoreDenoiser, options: CoreLearnerOptions): CoreLearner };
  Trainer: { create(model: CoreDenoiser, options: CoreTrainerOptions): CoreTrainer };
  splitWords(prompt: string): string[];
  learningRate(step: number, most: number, warmUp: number, steps: number, fall: number): number;
  randomScene(seed: number, heldOut: boolean, objects: number, picture: Float32Array): CoreScene;
}
