import type { Denoiser, Sampler } from 'diffusion-cross-attention/denoiser';
import type { MapChoice, WordMaps } from '../messages';

/** The heat maps of every head after every step, so that any choice of them can be looked at afterwards. */
export class MapRecord {
  readonly #size: number;
  readonly #heads: number;
  readonly #blocks: number;
  /** A step: the maps of all heads, block by block. */
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

  /** @param step 0 is after the first */
  at(step: number, { block, head }: MapChoice): WordMaps {
    const chosen = this.#steps[step]!.filter(
      (_, index) =>
        (block === undefined || Math.floor(index / this.#heads) === block) &&
        (head === undefined || index % this.#heads === head),
    );
    return scaled(meanOf(chosen), this.#size);
  }
}

function meanOf(maps: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(maps[0]!.length);
  for (const map of maps) {
    for (let index = 0; index < mean.length; index++) mean[index]! += map[index]! / maps.length;
  }
  return mean;
}

/** A map that is nearly flat stays pale: the range of its values is not stretched by more than this. */
const MOST_CONTRAST = 4;

/** Brings every map from its least to its most to the whole range of a byte, and notes what that hides: how much it was. */
function scaled(maps: Float32Array, size: number): WordMaps {
  const bytes = new Uint8Array(maps.length);
  const peaks: number[] = [];
  for (let start = 0; start < maps.length; start += size * size) {
    const end = start + size * size;
    const map = maps.subarray(start, end);
    const peak = Math.max(...map);
    peaks.push(peak);
    if (peak === 0) continue;
    const least = Math.min(...map, peak * (1 - 1 / MOST_CONTRAST));
    for (let place = start; place < end; place++)
      bytes[place] = Math.round(((maps[place]! - least) / (peak - least)) * 255);
  }
  return { size, bytes, peaks };
}
