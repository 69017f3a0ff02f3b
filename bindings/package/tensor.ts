import {
  checkDType,
  checkFinite,
  checkInteger,
  checkNumbers,
  checkOptions,
  checkShape,
  fail,
  show,
} from './checks';
import type { CoreTensor, CoreTensorClass, DType, TypedArray } from './core';
import { ArgumentError, ShapeError } from './errors';
import { Owned } from './handles';
import { getCore } from './runtime';

function coreClass(dtype: DType): CoreTensorClass {
  return dtype === 'float32' ? getCore().TensorFloat32 : getCore().TensorFloat64;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

/** A seed that nobody chose. */
export function randomSeed(): number {
  return Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
}

/** Lets other files of this package reach what users shall not see. */
let handleOf: (tensor: Tensor, argument: string) => CoreTensor;
let wrap: (handle: CoreTensor, dtype: DType) => Tensor;

/** A dense row-major tensor in WASM memory. Dispose it (or `using`); a FinalizationRegistry catches the forgotten. */
export class Tensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly size: number;
  readonly #owned: Owned<CoreTensor>;

  static {
    handleOf = (tensor, argument) => tensor.#owned.get(argument);
    wrap = (handle, dtype) => new Tensor(handle, dtype);
  }

  private constructor(handle: CoreTensor, dtype: DType) {
    // In JavaScript nothing is private: whoever calls it gets no half-made tensor.
    if (typeof handle?.delete !== 'function' || typeof handle.shape !== 'function') {
      throw new ArgumentError(
        'Tensor has no constructor to call; it takes Tensor.from, zeros, full or randn',
      );
    }
    this.#owned = new Owned(this, handle);
    this.shape = Object.freeze(handle.shape());
    this.dtype = dtype;
    this.size = sizeOf(this.shape);
  }

  /**
   * A copy of `data`, row by row. The dtype is that of a Float32Array or Float64Array, else float32, unless given.
   * Throws ShapeError where the shape takes another number of elements.
   */
  static from(data: ArrayLike<number>, shape: readonly number[], dtype?: DType): Tensor {
    getCore();
    const numbers = checkNumbers('data', data);
    const dimensions = checkShape('shape', shape);
    const kind =
      dtype === undefined
        ? data instanceof Float64Array
          ? 'float64'
          : 'float32'
        : checkDType('dtype', dtype);
    if (numbers.length !== sizeOf(dimensions)) {
      throw new ShapeError(
        `data has ${numbers.length} elements; a tensor of shape ${show(dimensions)} takes ${sizeOf(dimensions)}`,
      );
    }
    const handle = coreClass(kind).uninitialized(dimensions);
    handle.view().set(numbers);
    return new Tensor(handle, kind);
  }

  static zeros(shape: readonly number[], dtype: DType = 'float32'): Tensor {
    return Tensor.full(shape, 0, dtype);
  }

  static full(shape: readonly number[], value: number, dtype: DType = 'float32'): Tensor {
    getCore();
    const dimensions = checkShape('shape', shape);
    if (typeof value !== 'number') fail('value', value, 'a number');
    const kind = checkDType('dtype', dtype);
    const handle = coreClass(kind).uninitialized(dimensions);
    handle.fill(value);
    return new Tensor(handle, kind);
  }

  /** Normal random numbers (mean 0 and standard deviation 1 unless given); the same seed gives the same numbers. */
  static randn(
    shape: readonly number[],
    options?: { seed?: number; mean?: number; std?: number; dtype?: DType },
  ): Tensor {
    getCore();
    const dimensions = checkShape('shape', shape);
    const { seed = randomSeed(), mean = 0, std = 1, dtype = 'float32' } = checkOptions('options', options);
    checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
    checkFinite('mean', mean);
    if (checkFinite('std', std) < 0) fail('std', std, 'a number that is not negative');
    const kind = checkDType('dtype', dtype);
    const handle = coreClass(kind).uninitialized(dimensions);
    handle.fillRandomNormal(seed, mean, std);
    return new Tensor(handle, kind);
  }

  get rank(): number {
    return this.shape.length;
  }

  get disposed(): boolean {
    return this.#owned.disposed;
  }

  /** A copy, independent of WASM memory. */
  data(): TypedArray {
    return this.view().slice();
  }

  /** Zero-copy view into WASM memory; good until the next call into this package. */
  view(): TypedArray {
    return this.#handle.view();
  }

  /** The same elements under another shape, as PyTorch's view: shared, not copied. One dimension may be -1. */
  reshape(shape: readonly number[]): Tensor {
    const handle = this.#handle;
    return new Tensor(handle.reshaped(checkShape('shape', shape, -1)), this.dtype);
  }

  clone(): Tensor {
    return new Tensor(this.#handle.clone(), this.dtype);
  }

  /** Frees the memory, unless reshaped tensors or a layer share it. Twice is harmless. */
  dispose(): void {
    this.#owned.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #handle(): CoreTensor {
    return this.#owned.get('this Tensor');
  }
}

/** The core's tensor of an argument. Throws ArgumentError or DisposedError, naming it. */
export function tensorHandle(argument: string, tensor: unknown): CoreTensor {
  if (!(tensor instanceof Tensor)) fail(argument, tensor, 'a Tensor');
  return handleOf(tensor, argument);
}

/** The same where only one dtype will do. */
export function tensorHandleOf(argument: string, tensor: unknown, dtype: DType): CoreTensor {
  const handle = tensorHandle(argument, tensor);
  const got = (tensor as Tensor).dtype;
  if (got !== dtype) {
    throw new ArgumentError(`${argument} is a Tensor of ${got}; it takes one of the layer's dtype, ${dtype}`);
  }
  return handle;
}

/** A core's tensor as a Tensor that owns it. */
export function wrapTensor(handle: CoreTensor, dtype: DType): Tensor {
  return wrap(handle, dtype);
}
