import type { SeededRandom } from '../../shared/seeded_random';

/**
 * Random batches of pixels; each pixel is used once per epoch. A quarter of the picture gives almost the same
 * direction of the gradient as the whole picture, at a quarter of the cost.
 */
export class PixelBatches {
  readonly #order: Uint32Array;
  readonly #batchSize: number;
  readonly #random: SeededRandom;
  #next = 0;

  constructor(pixelCount: number, batchSize: number, random: SeededRandom) {
    this.#order = Uint32Array.from({ length: pixelCount }, (_, pixel) => pixel);
    this.#batchSize = Math.min(batchSize, pixelCount);
    this.#random = random;
    random.shuffle(this.#order);
  }

  /** Returns the next batch, which is valid until the next call. */
  next(): Uint32Array {
    if (this.#next + this.#batchSize > this.#order.length) {
      this.#random.shuffle(this.#order);
      this.#next = 0;
    }
    const start = this.#next;
    this.#next += this.#batchSize;
    return this.#order.subarray(start, this.#next);
  }
}
