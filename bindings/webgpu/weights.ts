// A layer's parameters in GPU memory. They never change: other parameters are other Weights, so that a call that is under way
// keeps those that it began with.
import type { Device } from './device';
import { largestHalf, packHalvesKernel, packWidth, packWorkgroup } from './kernels/pack_halves';
import type { Matrix } from './matrix';
import type { GpuBuffer } from './memory';
import type { Binding, Recorder } from './recorder';

/** What of a layer stays the same. */
export interface LayerSizes {
  readonly queryDim: number;
  readonly contextDim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly scale: number;
}

/** How weights are kept: halves, in half the memory, where their numbers are some. Sums are single-precision. */
export type Precision = 'float32' | 'float16';

export type WeightName = 'query' | 'key' | 'value' | 'output';
export type ParameterName = WeightName | 'bias';

/** Elements of each parameter, in their order. */
export function parameterCounts({ queryDim, contextDim }: LayerSizes): [ParameterName, number][] {
  return [
    ['query', queryDim * queryDim],
    ['key', queryDim * contextDim],
    ['value', queryDim * contextDim],
    ['output', queryDim * queryDim],
    ['bias', queryDim],
  ];
}

/** What the mathematics see of a layer's parameters. */
export interface LayerWeights {
  /** To be recorded before the weights are used. */
  pack(recorder: Recorder): void;
  /** [outFeatures × inFeatures]. */
  matrix(name: WeightName): Matrix;
  readonly bias: Binding;
}

export class Weights implements LayerWeights {
  /** Whether all is uploaded. Rejects with OutOfMemoryError, DeviceError. */
  readonly ready: Promise<void>;
  readonly #device: Device;
  readonly #sizes: LayerSizes;
  readonly #singles = new Map<ParameterName, GpuBuffer>();
  readonly #halves = new Map<WeightName, GpuBuffer>();
  /** Weights that the first call which is submitted packs. */
  #toPack: WeightName[] = [];
  #owners = 1;

  /** Uploads `parameters`, flat, at once. */
  constructor(device: Device, sizes: LayerSizes, precision: Precision, parameters: Float32Array) {
    this.#device = device;
    this.#sizes = sizes;
    this.ready = device.guarded(async () => this.#upload(parameters, precision));
    this.ready.catch(() => {});
  }

  share(): this {
    this.#owners++;
    return this;
  }

  release(): void {
    if (--this.#owners > 0) return;
    for (const buffer of [...this.#singles.values(), ...this.#halves.values()]) buffer.release();
    this.#singles.clear();
    this.#halves.clear();
  }

  pack(recorder: Recorder): void {
    if (this.#toPack.length === 0) return;
    recorder.afterSubmit(() => {
      for (const name of this.#toPack.splice(0)) {
        this.#singles.get(name)?.release();
        this.#singles.delete(name);
      }
    });
    for (const name of this.#toPack) {
      const singles = this.#singles.get(name)!;
      const pairs = singles.bytes / 8;
      const workgroups = Math.ceil(pairs / packWorkgroup);
      recorder.dispatch(
        packHalvesKernel(),
        [pairs],
        [],
        [{ buffer: singles.buffer }, { buffer: this.#halves.get(name)!.buffer }],
        [Math.min(workgroups, packWidth), Math.ceil(workgroups / packWidth), 1],
      );
    }
  }

  /** [outFeatures × inFeatures], in halves where it was packed. */
  matrix(name: WeightName): Matrix {
    const halves = this.#halves.get(name);
    const { buffer } = halves ?? this.#singles.get(name)!;
    return {
      binding: { buffer },
      offset: 0,
      rowStride: this.#inFeatures(name),
      columnStride: 1,
      outer: 0,
      inner: 0,
      packed: halves !== undefined,
    };
  }

  get bias(): Binding {
    return { buffer: this.#singles.get('bias')!.buffer };
  }

  #inFeatures(name: WeightName): number {
    return name === 'key' || name === 'value' ? this.#sizes.contextDim : this.#sizes.queryDim;
  }

  #upload(parameters: Float32Array, precision: Precision): void {
    let first = 0;
    for (const [name, count] of parameterCounts(this.#sizes)) {
      const values = parameters.subarray(first, first + count);
      const buffer = this.#device.memory.createStorage(name, 4 * count);
      this.#singles.set(name, buffer);
      this.#device.upload(buffer.buffer, 0, values);
      first += count;
      if (precision === 'float32' || name === 'bias' || !this.#canBePacked(name, values)) continue;
      this.#halves.set(name, this.#device.memory.createStorage(`${name}, halves`, 2 * count));
      this.#toPack.push(name);
    }
  }

  /** Vectors of four are loaded, of a head's rows, too; a number beyond the largest half would become an infinity. */
  #canBePacked(name: WeightName, values: Float32Array): boolean {
    const isAligned = this.#inFeatures(name) % 4 === 0 && this.#sizes.headDim % 4 === 0;
    return isAligned && values.every((value) => Math.abs(value) <= largestHalf);
  }
}
