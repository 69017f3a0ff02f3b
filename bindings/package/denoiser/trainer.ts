import { takeBytes, withBytes } from '../bytes';
import { checkFinite, checkInteger, checkNotNegative, checkShare, fail, read, readOptions } from '../checks';
import { ArgumentError } from '../errors';
import type { UsersDevice } from '../platform_types';
import { Owned } from '../handles';
import { guardMethods, internal, requireInternal } from '../instances';
import type { CoreDenoiser, CoreTrainer, CoreTrainerOptions } from './core';
import { GpuTrainer } from './gpu_trainer';
import { checkFile, getCore } from './runtime';

export interface TrainerOptions {
  /** Seed of scenes, times and noise, 0 to 2^53 - 1. Default 0. */
  seed?: number;
  /** Scenes in each step, 1 to 1024. Default 32. */
  batch?: number;
  /** Decay of the EMA of the parameters, which `withEma` uses, 0 to 1. Default 0.9995. */
  emaDecay?: number;
  /** @deprecated Use emaDecay. */
  averageDecay?: number;
  /** Share of scenes that are forced to have a single object, 0 to 1. Default 0. */
  singles?: number;
  /**
   * Share of scenes with two objects, one inside the other; `singles` + `insides` is at most 1. Default 0.
   */
  insides?: number;
  /** Mean of the logit of the training times, which range from 0 (noise) to 1 (clean). Default -0.4. */
  timeMean?: number;
  /** Standard deviation of that logit, at least 0. Default 1.5. */
  timeDeviation?: number;
  /**
   * Weight of the alignment loss, by which tokens predict the objects at their position, relative to the
   * picture's loss; at least 0. Default 0.5.
   */
  alignment?: number;
}

/**
 * Trains all parameters of a denoiser on generated scenes, by flow matching (Lipman et al., 2023) with Adam
 * (Kingma and Ba, 2015). See Denoiser.trainer. The same seed gives the same steps on every device, except for
 * rounding. Samplers that were created before a step cannot continue after it.
 *
 * @example
 * using trainer = denoiser.trainer({ batch: 32 });
 * for (let step = 0; step < 1000; ++step) trainer.step(learningRate(step, { steps: 1000 }));
 * const file = trainer.withEma(() => denoiser.save());
 */
export class Trainer implements Disposable {
  static readonly name = 'Trainer';
  readonly #trainer: Owned<CoreTrainer>;
  readonly #getModel: () => CoreDenoiser;
  readonly #options: CoreTrainerOptions;
  #onGpu: GpuTrainer | null = null;
  /** True while the denoiser has the EMA of its parameters, and the trainer has those that it trains. */
  #isInEma = false;

  static {
    guardMethods(this, (value) => #trainer in value);
  }

  /** @internal */
  constructor(token: typeof internal, getModel: () => CoreDenoiser, options: CoreTrainerOptions) {
    requireInternal(token, 'Trainer', 'Denoiser.trainer');
    this.#getModel = getModel;
    this.#options = options;
    this.#trainer = new Owned(this, getCore().Trainer.create(getModel(), options));
  }

  get #core(): CoreTrainer {
    const trainer = this.#trainer.get('the trainer');
    this.#getModel();
    return trainer;
  }

  /** Steps of Adam so far, including those of a loaded checkpoint. */
  get steps(): number {
    return this.#core.steps();
  }

  /** Takes one step of Adam. Returns the number of steps so far, and the loss before this step. */
  step(learningRate: number): { step: number; loss: number } {
    checkNotNegative('learningRate', learningRate);
    this.#requireNotOnGpu('step');
    this.#requireNotInEma('step');
    const loss = this.#core.step(learningRate);
    return { step: this.steps, loss };
  }

  /**
   * Calls `use`, a synchronous function, while the denoiser has the EMA of its parameters, for sampling and
   * `save`. Returns its result.
   */
  withEma<R>(use: () => R): R {
    if (typeof use !== 'function') fail('use', use, 'a function');
    this.#requireNotInEma('withEma');
    this.#core.swapEma();
    this.#isInEma = true;
    try {
      return use();
    } finally {
      this.#leaveEma();
    }
  }

  /** @deprecated Use withEma. */
  withAverages<R>(use: () => R): R {
    return this.withEma(use);
  }

  /** Returns the whole state of the training as a .safetensors file. */
  saveCheckpoint(): Uint8Array {
    this.#requireNotInEma('saveCheckpoint');
    return takeBytes(this.#core.saveCheckpoint());
  }
  /**
   * Restores the state of a training. Throws WeightsError if the file is not of such a model; then nothing
   * has changed.
   */
  loadCheckpoint(file: Uint8Array | ArrayBuffer): void {
    this.#requireNotOnGpu('loadCheckpoint');
    this.#requireNotInEma('loadCheckpoint');
    this.#load(checkFile('file', file));
  }

  /**
   * Continues this training on the GPU, with the same steps except for rounding. Until the returned
   * GpuTrainer is disposed, this trainer takes no steps.
   *
   * @param options.gpuDevice a device of yours; default: a new one is requested
   * @throws DeviceError if there is no GPU, OutOfMemoryError if the training does not fit in its memory,
   * ArgumentError for a wrong option.
   */
  async onWebGPU(options?: { gpuDevice?: UsersDevice }): Promise<GpuTrainer> {
    const { gpuDevice } = readOptions('options', options, ['gpuDevice']);
    const isDevice = read(
      'gpuDevice',
      () => typeof (gpuDevice as GPUDevice | null)?.createBuffer === 'function',
    );
    if (gpuDevice !== undefined && !isDevice) {
      fail('gpuDevice', gpuDevice, 'a GPUDevice');
    }
    this.#requireNotOnGpu('onWebGPU');
    this.#requireNotInEma('onWebGPU');
    const core = this.#core;
    const { batch, alignment } = this.#options;
    this.#onGpu = new GpuTrainer(internal, {
      draw: (step) => this.#core.draw(step),
      load: (file) => this.#load(file),
      start: { checkpoint: this.saveCheckpoint(), batch, adam: core.adamOptions(), alignment, gpuDevice },
    });
    return this.#onGpu.ready();
  }

  #load(file: Uint8Array): void {
    withBytes(getCore(), file, (bytes) => this.#core.loadCheckpoint(bytes));
  }

  #requireNotOnGpu(method: string): void {
    if (this.#onGpu === null || this.#onGpu.disposed) return;
    throw new ArgumentError(`the trainer has a GpuTrainer; dispose it before ${method}`);
  }

  #requireNotInEma(method: string): void {
    if (!this.#isInEma) return;
    throw new ArgumentError(`the denoiser has the EMA of its parameters; call ${method} after withEma`);
  }

  #leaveEma(): void {
    if (!this.#isInEma) return;
    this.#isInEma = false;
    // Not by way of the denoiser, which may have been disposed.
    this.#trainer.get('the trainer').swapEma();
  }

  get disposed(): boolean {
    return this.#trainer.disposed;
  }
  /**
   * Frees its memory and that of its GpuTrainer. During withEma, the denoiser has its trained parameters
   * again afterwards. A second call has no effect.
   */
  dispose(): void {
    this.#leaveEma();
    this.#onGpu?.dispose();
    this.#trainer.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

const optionNames = [
  'seed',
  'batch',
  'averageDecay',
  'emaDecay',
  'singles',
  'insides',
  'timeMean',
  'timeDeviation',
  'alignment',
] as const satisfies readonly (keyof TrainerOptions)[];

function checkTrainer(options: TrainerOptions | undefined): CoreTrainerOptions {
  const given = readOptions('options', options, optionNames);
  const { seed = 0, batch = 32, averageDecay = 0.9995, emaDecay = averageDecay } = given;
  const { singles = 0, insides = 0, timeMean = -0.4, timeDeviation = 1.5, alignment = 0.5 } = given;
  checkShare('singles', singles);
  if (checkShare('insides', insides) + singles > 1) {
    fail('insides', insides, `at most 1 together with singles, which is ${singles}`);
  }
  return {
    seed: checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
    batch: checkInteger('batch', batch, 1, 1024),
    averageDecay: checkShare('emaDecay', emaDecay),
    singles,
    insides,
    timeMean: checkFinite('timeMean', timeMean),
    timeDeviation: checkNotNegative('timeDeviation', timeDeviation),
    alignment: checkNotNegative('alignment', alignment),
  };
}

/** Checks the options and creates a Trainer. */
export function makeTrainer(getModel: () => CoreDenoiser, options: TrainerOptions | undefined): Trainer {
  return new Trainer(internal, getModel, checkTrainer(options));
}
