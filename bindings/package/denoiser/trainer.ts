import { checkFinite, checkInteger, checkOptions, fail } from '../checks';
import { takeBytes, withBytes } from '../bytes';
import { Owned } from '../handles';
import type { CoreDenoiser, CoreTrainer } from './core';
import { checkFile, getCore } from './runtime';

export interface TrainerOptions {
  /** Of scenes, times and noise. Default 0. */
  seed?: number;
  /** Scenes a step, 1 to 1024. Default 32. */
  batch?: number;
  /** Of the running average of the parameters, which `withAverages` samples with, 0 to 1. Default 0.9995. */
  averageDecay?: number;
}

/**
 * Trains all of a denoiser on generated scenes, by flow matching (Lipman et al., 2023) with Adam (Kingma and Ba, 2015).
 * The same seed takes the same steps wherever it runs, but for rounding. Samplers made before a step cannot go on after it.
 */
export class Trainer implements Disposable {
  static readonly name = 'Trainer';
  readonly #trainer: Owned<CoreTrainer>;
  readonly #getModel: () => CoreDenoiser;

  /** @internal */
  constructor(getModel: () => CoreDenoiser, seed: number, batch: number, averageDecay: number) {
    this.#getModel = getModel;
    this.#trainer = new Owned(this, getCore().Trainer.create(getModel(), seed, batch, averageDecay));
  }

  get #core(): CoreTrainer {
    const trainer = this.#trainer.get('the trainer');
    this.#getModel();
    return trainer;
  }

  /** One step of Adam. Returns the number of steps so far, and the loss before this one. */
  step(learningRate: number): { step: number; loss: number } {
    if (checkFinite('learningRate', learningRate) < 0) fail('learningRate', learningRate, 'at least 0');
    const loss = this.#core.step(learningRate);
    return { step: this.#core.steps(), loss };
  }

  /** Calls `use`, which must be synchronous, while the denoiser has the averages of its parameters: for sampling and `save`. */
  withAverages<R>(use: () => R): R {
    const trainer = this.#core;
    trainer.swapAverages();
    try {
      return use();
    } finally {
      if (!this.disposed) trainer.swapAverages();
    }
  }

  /** All that it takes to go on later, as a .safetensors file. */
  saveCheckpoint(): Uint8Array {
    return takeBytes(this.#core.saveCheckpoint());
  }
  /** Goes on from there. Throws WeightsError where it is none of such a model, and then nothing has changed. */
  loadCheckpoint(file: Uint8Array | ArrayBuffer): void {
    withBytes(getCore(), checkFile('file', file), (bytes) => this.#core.loadCheckpoint(bytes));
  }

  get disposed(): boolean {
    return this.#trainer.disposed;
  }
  /** Frees its memory; a second time does nothing. */
  dispose(): void {
    this.#trainer.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Checked. */
export function makeTrainer(getModel: () => CoreDenoiser, options: TrainerOptions | undefined): Trainer {
  getModel();
  const { seed = 0, batch = 32, averageDecay = 0.9995 } = checkOptions('options', options);
  checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('batch', batch, 1, 1024);
  if (checkFinite('averageDecay', averageDecay) < 0 || averageDecay > 1)
    fail('averageDecay', averageDecay, '0 to 1');
  return new Trainer(getModel, seed, batch, averageDecay);
}
