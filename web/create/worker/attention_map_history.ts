import type { Denoiser, Sampler } from 'diffusion-cross-attention/denoiser';
import type { MapChoice, WordMaps } from '../messages';

/** The attention maps of every head after every step, so that any selection of heads can be shown later. */
export class AttentionMapHistory {
  readonly #size: number;
  readonly #heads: number;
  readonly #blocks: number;
  /** Per step: the maps of all heads, block by block. */
  readonly #steps: Float32Array[][] = [];

  constructor({ mapSize, heads, blocks }: Denoiser) {
    this.#size = mapSize;
    this.#heads = heads;
    this.#blocks = blocks;
  }

  get steps(): number {
    return this.#steps.length;
  }

  add(sampler: Sampler): void {
    const maps: Float32Array[] = [];
    for (let block = 0; block < this.#blocks; block++) {
      for (let head = 0; head < this.#heads; head++) maps.push(sampler.maps({ block, head }));
    }
    this.#steps.push(maps);
  }

  /**
   * Returns the mean of the chosen maps after a step.
   *
   * @param step from 0
   */
  at(step: number, { block, head }: MapChoice): WordMaps {
    const chosen = this.#steps[step]!.filter(
      (_, index) =>
        (block === undefined || Math.floor(index / this.#heads) === block) &&
        (head === undefined || index % this.#heads === head),
    );
    return scaleMaps(meanOf(chosen), this.#size);
  }
}

function meanOf(maps: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(maps[0]!.length);
  for (const map of maps) {
    for (let index = 0; index < mean.length; index++) mean[index]! += map[index]! / maps.length;
  }
  return mean;
}

/** The contrast of a map is increased by at most this factor, so that nearly flat maps stay pale. */
const maxContrast = 4;

/** Scales each map to the range of a byte, and returns the original maxima with them. */
function scaleMaps(maps: Float32Array, size: number): WordMaps {
  const bytes = new Uint8Array(maps.length);
  const peaks: number[] = [];
  for (let start = 0; start < maps.length; start += size * size) {
    const end = start + size * size;
    const map = maps.subarray(start, end);
    const peak = Math.max(...map);
    peaks.push(peak);
    if (peak === 0) continue;
    const min = Math.min(...map, peak * (1 - 1 / maxContrast));
    for (let index = start; index < end; index++)
      bytes[index] = Math.round(((maps[index]! - min) / (peak - min)) * 255);
  }
  return { size, bytes, peaks };
}
