import { checkFinite, fail } from '../checks';
import { DisposedError } from '../errors';
import type { TrainingBatch, TrainingOnGpu, TrainingOptions } from './training_on_gpu';

/** What of its trainer a training on the card takes. */
interface Origin {
  /** What step number `step`, from 0 on, learns from. */
  draw: (step: number) => TrainingBatch;
  /** A checkpoint into the core. */
  load: (file: Uint8Array) => void;
  start: Omit<TrainingOptions, 'sizes'>;
}

/**
 * A training that goes on on a graphics card. The denoiser and its trainer stay as they are until `synchronize`: what they
 * have is good whatever becomes of the card.
 */
export class GpuTrainer implements Disposable {
  static readonly name = 'GpuTrainer';
  readonly #origin: Origin;
  readonly #started: Promise<void>;
  #training: TrainingOnGpu | null = null;
  #disposed = false;

  /** @internal */
  constructor(origin: Origin) {
    this.#origin = origin;
    this.#started = this.#start();
    // Told by ready.
    this.#started.catch(() => {});
  }

  async #start(): Promise<void> {
    const { draw, start: options } = this.#origin;
    try {
      const { timestepEmbedding, places } = draw(0);
      const sizes = { timestepEmbedding: timestepEmbedding.length, places: places.length };
      const { start } = await import('./denoiser_webgpu.js');
      const training = await start({ ...options, sizes });
      if (this.#disposed) training.dispose();
      else this.#training = training;
    } catch (error) {
      this.#disposed = true;
      throw error;
    }
  }

  /** @internal */
  async ready(): Promise<this> {
    await this.#started;
    this.#get();
    return this;
  }

  #get(): TrainingOnGpu {
    if (this.#disposed || this.#training === null)
      throw new DisposedError('the training by WebGPU was disposed of; it takes one that was not');
    return this.#training;
  }

  /** The card, for people. */
  get description(): string {
    return this.#get().description;
  }

  /**
   * One step of Adam. Resolves, when it is done, with the number of steps so far and the loss before this one. A step may be
   * asked for before the last one is done: so the card does not wait for the next scenes. Rejects with DeviceError,
   * OutOfMemoryError; then the training on the card has ended, and the denoiser is what it was at the last `synchronize`.
   */
  async step(learningRate: number): Promise<{ step: number; loss: number }> {
    if (checkFinite('learningRate', learningRate) < 0) fail('learningRate', learningRate, 'at least 0');
    const training = this.#get();
    const before = training.steps;
    const loss = await training.step(this.#origin.draw(before), learningRate);
    return { step: before + 1, loss };
  }

  /** The denoiser and its trainer get what the card has: for sampling, saving, or to go on without it. */
  async synchronize(): Promise<void> {
    const file = await this.#get().checkpoint();
    this.#get();
    this.#origin.load(file);
  }

  get disposed(): boolean {
    return this.#disposed;
  }
  /** Frees what is on the card; steps since the last `synchronize` are lost. A second time does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#training?.dispose();
    this.#training = null;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
