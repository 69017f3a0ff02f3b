import { checkNotNegative } from '../checks';
import { DisposedError } from '../errors';
import { guardMethods, internal, requireInternal } from '../instances';
import type { TrainingBatch, TrainingOnGpu, TrainingOptions } from './training_on_gpu';

/** The trainer from which a training on the GPU continues. */
interface Origin {
  /** Returns the batch of a step; the first step is 0. */
  draw: (step: number) => TrainingBatch;
  /** Loads a checkpoint into the core. */
  load: (file: Uint8Array) => void;
  start: Omit<TrainingOptions, 'sizes'>;
}

/**
 * Continues a training on the GPU. See Trainer.onWebGPU. The denoiser and its trainer stay unchanged until
 * `synchronize`, so that they are valid even if the device is lost.
 */
export class GpuTrainer implements Disposable {
  static readonly name = 'GpuTrainer';
  readonly #origin: Origin;
  readonly #started: Promise<void>;
  #training: TrainingOnGpu | null = null;
  #synchronized: Promise<void> = Promise.resolve();
  #disposed = false;

  static {
    guardMethods(this, (value) => #origin in value);
  }

  /** @internal */
  constructor(token: typeof internal, origin: Origin) {
    requireInternal(token, 'GpuTrainer', 'Trainer.onWebGPU');
    this.#origin = origin;
    this.#started = this.#start();
    // `ready` reports the error.
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
    if (this.#disposed || this.#training === null) throw new DisposedError('the GpuTrainer was disposed');
    return this.#training;
  }

  /** A description of the GPU. */
  get description(): string {
    return this.#get().description;
  }

  /**
   * Takes one step of Adam. Resolves when it is done, with the number of steps so far and the loss before
   * this step. Call it again before the last step is done, so that the GPU need not wait for the next batch.
   * Rejects with DeviceError or OutOfMemoryError; then the training on the GPU has ended, and the denoiser
   * has the state of the last `synchronize`.
   */
  async step(learningRate: number): Promise<{ step: number; loss: number }> {
    checkNotNegative('learningRate', learningRate);
    const training = this.#get();
    const before = training.steps;
    try {
      const loss = await training.step(this.#origin.draw(before), learningRate);
      return { step: before + 1, loss };
    } catch (error) {
      this.#get();
      throw error;
    }
  }

  /**
   * Copies the state on the GPU to the denoiser and its trainer, for sampling, saving, or to continue without
   * the GPU.
   */
  synchronize(): Promise<void> {
    const synchronized = this.#loadAfter(this.#synchronized);
    this.#synchronized = synchronized;
    // Not an async function: the caller continues before the next call loads its state.
    return synchronized;
  }

  /**
   * Loads the current state of the GPU, after earlier calls have loaded theirs: reading may end in any order.
   */
  async #loadAfter(earlier: Promise<void>): Promise<void> {
    const [file] = await Promise.allSettled([this.#get().checkpoint(), earlier]);
    this.#get();
    if (file.status === 'rejected') throw file.reason;
    this.#origin.load(file.value);
  }

  get disposed(): boolean {
    return this.#disposed;
  }
  /**
   * Frees the GPU memory. Steps since the last `synchronize` are lost, and calls in progress reject with
   * DisposedError. A second call has no effect.
   */
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
