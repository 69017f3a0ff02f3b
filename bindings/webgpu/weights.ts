// A layer's parameters in GPU memory. They are immutable: changed parameters become new Weights, so that
// calls in progress keep the parameters they started with.
import type { LayerSizes } from '../package/accelerator';
import type { Device } from './device';
import { maxHalf, packHalvesKernel, packWidth, packWorkgroup } from './kernels/pack_halves';
import type { Matrix } from './matrix';
import type { GpuBuffer } from './memory';
import type { Binding, Recorder } from './recorder';
import { Shared } from './shared';

/**
 * Storage precision of the weights. Arithmetic is float32. Weights with values outside the float16 range stay
 * float32.
 */
export type Precision = 'float32' | 'float16';

export type WeightName = 'query' | 'key' | 'value' | 'output';
export type BiasName = 'queryBias' | 'keyBias' | 'valueBias' | 'bias';
export type NormName = 'queryNorm' | 'queryNormBias' | 'keyNorm' | 'keyNormBias';
export type ParameterName = WeightName | BiasName | NormName;

/** Returns the channels of queries, keys and values. */
export const innerDim = ({ numHeads, headDim }: Pick<LayerSizes, 'numHeads' | 'headDim'>): number =>
  numHeads * headDim;

/** Returns names and element counts of the layer's parameters, in their order. */
export function parameterCounts(sizes: LayerSizes): [ParameterName, number][] {
  const { queryDim, contextDim, outputDim, headDim, bias, outputBias, queryKeyNorm } = sizes;
  const inner = innerDim(sizes);
  const norm = queryKeyNorm === 'none' ? 0 : headDim;
  const normBias = queryKeyNorm === 'layer_norm' ? headDim : 0;
  const counts: [ParameterName, number][] = [
    ['query', inner * queryDim],
    ['queryBias', bias ? inner : 0],
    ['key', inner * contextDim],
    ['keyBias', bias ? inner : 0],
    ['value', inner * contextDim],
    ['valueBias', bias ? inner : 0],
    ['queryNorm', norm],
    ['queryNormBias', normBias],
    ['keyNorm', norm],
    ['keyNormBias', normBias],
    ['output', outputDim * inner],
    ['bias', outputBias ? outputDim : 0],
  ];
  return counts.filter(([, count]) => count > 0);
}

const isWeight = (name: ParameterName): name is WeightName =>
  ['query', 'key', 'value', 'output'].includes(name);

/** A layer's parameters, as the functions that record commands use them. */
export interface LayerWeights {
  /** Records what must be done before the weights are used for the first time. */
  pack(recorder: Recorder): void;
  /** Returns a matrix [outFeatures × inFeatures]. */
  matrix(name: WeightName): Matrix;
  /** Returns null for a bias, or for a part of a norm, that the layer does not have. */
  vector(name: BiasName | NormName): Binding | null;
}

export class Weights extends Shared implements LayerWeights {
  /** Resolves when all parameters are uploaded. Rejects with OutOfMemoryError, DeviceError. */
  readonly ready: Promise<void>;
  readonly #device: Device;
  readonly #sizes: LayerSizes;
  readonly #singles = new Map<ParameterName, GpuBuffer>();
  readonly #halves = new Map<WeightName, GpuBuffer>();
  /** Weights that the first submitted call packs. */
  #toPack: WeightName[] = [];

  /** Copies `parameters`, all in one array, before it returns. */
  constructor(device: Device, sizes: LayerSizes, precision: Precision, parameters: Float32Array) {
    super();
    this.#device = device;
    this.#sizes = sizes;
    this.ready = device.guarded(async () => this.#upload(parameters, precision));
    this.ready.catch(() => {});
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

  vector(name: BiasName | NormName): Binding | null {
    const vector = this.#singles.get(name);
    return vector === undefined ? null : { buffer: vector.buffer };
  }

  protected override free(): void {
    for (const buffer of [...this.#singles.values(), ...this.#halves.values()]) buffer.release();
    this.#singles.clear();
    this.#halves.clear();
  }

  #inFeatures(name: WeightName): number {
    if (name === 'output') return innerDim(this.#sizes);
    return name === 'query' ? this.#sizes.queryDim : this.#sizes.contextDim;
  }

  #upload(parameters: Float32Array, precision: Precision): void {
    let first = 0;
    for (const [name, count] of parameterCounts(this.#sizes)) {
      const values = parameters.subarray(first, first + count);
      const buffer = this.#device.memory.createStorage(name, 4 * count);
      this.#singles.set(name, buffer);
      this.#device.upload(buffer.buffer, 0, values);
      first += count;
      if (precision === 'float32' || !isWeight(name) || !this.#canBePacked(name, values)) continue;
      this.#halves.set(name, this.#device.memory.createStorage(`${name}, halves`, 2 * count));
      this.#toPack.push(name);
    }
  }

  /**
   * True if rows, and those of a head, start at multiples of 4, since kernels load packed numbers by fours,
   * and if no value exceeds the float16 range.
   */
  #canBePacked(name: WeightName, values: Float32Array): boolean {
    const isAligned = this.#inFeatures(name) % 4 === 0 && this.#sizes.headDim % 4 === 0;
    return isAligned && values.every((value) => Math.abs(value) <= maxHalf);
  }
}
