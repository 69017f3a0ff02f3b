import { checkFinite, checkInteger, checkOptions, fail } from '../checks';
import { takeBytes, withBytes } from '../bytes';
import { ArgumentError } from '../errors';
import type { UsersDevice } from '../gpu_types';
import { Owned } from '../handles';
import type { CoreDenoiser, CoreTrainer, CoreTrainerOptions } from './core';
import { GpuTrainer } from './gpu_trainer';
import { checkFile, getCore } from './runtime';

export interface TrainerOptions {
  /** Of scenes, times and noise. Default 0. */
  seed?: number;
  /** Scenes a step, 1 to 1024. Default 32. */
  batch?: number;
  /** Of the running average of the parameters, which `withAverages` samples with, 0 to 1. Default 0.9995. */
  averageDecay?: number;
  /** The share of scenes that have a single object whatever the rest have, 0 to 1. Default 0. */
  singles?: number;
  /** The share that are two objects, one inside the other; with `singles` at most 1. Default 0. */
  insides?: number;
  /** Of the logit of the times that are learned from, 0 noise to 1 clean: its mean. Default -0.4. */
  timeMean?: number;
  /** Its standard deviation, at least 0. Default 1.5. */
  timeDeviation?: number;
  /** The weight of what tokens are to know of the objects at their place, beside the picture's loss; at least 0. Default 0.5. */
  alignment?: number;
}

/**
 * Trains all of a denoiser on generated scenes, by flow matching (Lipman et al., 2023) with Adam (Kingma and Ba, 2015).
 * The same seed takes the same steps wherever it runs, but for rounding. Samplers made before a step cannot go on after it.
 */
export class Trainer implements Disposable {
  static readonly name = 'Trainer';
  readonly #trainer: Owned<CoreTrainer>;
  readonly #getModel: () => CoreDenoiser;
  readonly #options: CoreTrainerOptions;
  #onGpu: GpuTrainer | null = null;

  /** @internal */
  constructor(getModel: () => CoreDenoiser, options: CoreTrainerOptions) {
    this.#getModel = getModel;
    this.#options = options;
    this.#trainer = new Owned(this, getCore().Trainer.create(getModel(), options));
  }

  get #core(): CoreTrainer {
    const trainer = this.#trainer.get('the trainer');
    this.#getModel();
    return trainer;
  }

  /** Steps of Adam so far, those of a loaded checkpoint counted. */
  get steps(): number {
    return this.#core.steps();
  }

  /** One step of Adam. Returns the number of steps so far, and the loss before this one. */
  step(learningRate: number): { step: number; loss: number } {
    if (checkFinite('learningRate', learningRate) < 0) fail('learningRate', learningRate, 'at least 0');
    this.#checkNotOnGpu('step');
    const loss = this.#core.step(learningRate);
    return { step: this.steps, loss };
  }

  /** Calls `use`, which must be synchronous, while the denoiser has the averages of its parameters: for sampling and `save`. */
  withAverages<R>(use: () => R): R {
    const trainer = this.#core;
    trainer.swapEma();
    try {
      return use();
    } finally {
      if (!this.disposed) trainer.swapEma();
    }
  }

  /** All that it takes to go on later, as a .safetensors file. */
  saveCheckpoint(): Uint8Array {
    return takeBytes(this.#core.saveCheckpoint());
  }
  /** Goes on from there. Throws WeightsError where it is none of such a model, and then nothing has changed. */
  loadCheckpoint(file: Uint8Array | ArrayBuffer): void {
    this.#checkNotOnGpu('loadCheckpoint');
    this.#load(checkFile('file', file));
  }

  /**
   * Goes on with this training on a graphics card: the same steps of the same seed, but for rounding. Until what it gives is
   * disposed of, this trainer takes no steps of its own. `gpuDevice`: one of yours, instead of one that is requested here.
   * Rejects with DeviceError where there is no card, OutOfMemoryError where the training does not fit it; ArgumentError.
   */
  async onWebGPU(options?: { gpuDevice?: UsersDevice }): Promise<GpuTrainer> {
    const { gpuDevice } = checkOptions('options', options);
    if (
      gpuDevice !== undefined &&
      typeof (gpuDevice as { createBuffer?: unknown } | null)?.createBuffer !== 'function'
    )
      fail('gpuDevice', gpuDevice, 'a GPUDevice');
    this.#checkNotOnGpu('onWebGPU');
    const core = this.#core;
    const { batch, alignment } = this.#options;
    this.#onGpu = new GpuTrainer({
      draw: (step) => this.#core.draw(step),
      load: (file) => this.#load(file),
      start: { checkpoint: this.saveCheckpoint(), batch, adam: core.adamOptions(), alignment, gpuDevice },
    });
    return this.#onGpu.ready();
  }

  #load(file: Uint8Array): void {
    withBytes(getCore(), file, (bytes) => this.#core.loadCheckpoint(bytes));
  }

  #checkNotOnGpu(what: string): void {
    if (this.#onGpu === null || this.#onGpu.disposed) return;
    throw new ArgumentError(`the trainer is at work by WebGPU; ${what} takes that to be disposed of first`);
  }

  get disposed(): boolean {
    return this.#trainer.disposed;
  }
  /** Frees its memory, on the card, too; a second time does nothing. */
  dispose(): void {
    this.#onGpu?.dispose();
    this.#trainer.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A share of the scenes. */
function checkShare(name: string, value: number): number {
  if (checkFinite(name, value) < 0 || value > 1) fail(name, value, '0 to 1');
  return value;
}

function checkNotNegative(name: string, value: number): number {
  if (checkFinite(name, value) < 0) fail(name, value, 'at least 0');
  return value;
}

function checkTrainer(options: TrainerOptions): CoreTrainerOptions {
  const { seed = 0, batch = 32, averageDecay = 0.9995, singles = 0, insides = 0 } = options;
  const { timeMean = -0.4, timeDeviation = 1.5, alignment = 0.5 } = options;
  checkShare('singles', singles);
  if (checkShare('insides', insides) + singles > 1)
    fail('insides', insides, `at most 1 together with singles, which is ${singles}`);
  return {
    seed: checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
    batch: checkInteger('batch', batch, 1, 1024),
    averageDecay: checkShare('averageDecay', averageDecay),
    singles,
    insides,
    timeMean: checkFinite('timeMean', timeMean),
    timeDeviation: checkNotNegative('timeDeviation', timeDeviation),
    alignment: checkNotNegative('alignment', alignment),
  };
}

/** Checked. */
export function makeTrainer(getModel: () => CoreDenoiser, options: TrainerOptions | undefined): Trainer {
  getModel();
  return new Trainer(getModel, checkTrainer(checkOptions('options', options)));
}
