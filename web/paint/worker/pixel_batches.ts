import type { SeededRandom } from '../../shared/seeded_random';

/**
 * Random handfuls of pixels, every pixel once before any comes again. A quarter of the picture tells the
 * gradient's direction almost as well as all of it, at a quarter of the price.
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

  /** Good until the next call. */
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
