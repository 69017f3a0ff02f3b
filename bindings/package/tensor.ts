import {
  checkDType,
  checkFinite,
  checkInteger,
  checkNumbers,
  checkOneOf,
  checkOptions,
  checkShape,
  fail,
  show,
} from './checks';
import { accelerator, type Accelerator, type Location, type ResidentTensor } from './accelerator';
import type { CoreTensor, CoreTensorClass, DType, TypedArray } from './core';
import { ArgumentError, CrossAttentionError, ShapeError } from './errors';
import type { UsersBuffer } from './gpu_types';
import { Owned } from './handles';
import { getCore, getRuntimeInfo } from './runtime';

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
let handleOf: (tensor: Tensor, argument: string) => CoreTensor | ResidentTensor;
let wrap: (handle: CoreTensor | ResidentTensor, dtype: DType) => Tensor;

const isResident = (handle: CoreTensor | ResidentTensor): handle is ResidentTensor => 'buffer' in handle;

/**
 * A dense row-major tensor in WASM memory, or in GPU memory where it was put there. Dispose it (or `using`); a
 * FinalizationRegistry catches the forgotten.
 */
export class Tensor {
  static readonly name = 'Tensor';

  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly size: number;
  /** Where its elements are. */
  readonly location: Location;
  readonly #owned: Owned<CoreTensor | ResidentTensor>;

  static {
    handleOf = (tensor, argument) => tensor.#owned.get(argument);
    wrap = (handle, dtype) => new Tensor(handle, dtype);
  }

  private constructor(handle: CoreTensor | ResidentTensor, dtype: DType) {
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
    this.location = isResident(handle) ? 'webgpu' : 'wasm';
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

  /**
   * A buffer of yours, of float32 row by row, on the device that was given to `init` – without a copy: it must have the
   * usages STORAGE, COPY_SRC and COPY_DST, and is not destroyed with the tensor.
   */
  static fromGpuBuffer(buffer: UsersBuffer, shape: readonly number[]): Tensor {
    getCore();
    const dimensions = checkShape('shape', shape);
    if (typeof buffer?.size !== 'number') fail('buffer', buffer, 'a GPUBuffer');
    if (buffer.size < 4 * sizeOf(dimensions)) {
      throw new ShapeError(
        `buffer has ${buffer.size} bytes; a tensor of shape ${show(dimensions)} takes ${4 * sizeOf(dimensions)}`,
      );
    }
    if ((buffer.usage & bufferUsages) !== bufferUsages) {
      fail('buffer.usage', buffer.usage, 'STORAGE, COPY_SRC and COPY_DST');
    }
    return new Tensor(requireAccelerator('buffer').wrapBuffer(buffer, dimensions), 'float32');
  }

  get rank(): number {
    return this.shape.length;
  }

  get disposed(): boolean {
    return this.#owned.disposed;
  }

  /** A copy, independent of WASM memory. ArgumentError for a tensor in GPU memory: that takes dataAsync. */
  data(): TypedArray {
    return this.view().slice();
  }

  /** The same of any tensor: from GPU memory once all is computed that was asked for before. */
  async dataAsync(): Promise<TypedArray> {
    const handle = this.#handle;
    return isResident(handle) ? handle.read() : this.data();
  }

  /** Zero-copy view into WASM memory; good until the next call into this package. */
  view(): TypedArray {
    const handle = this.#handle;
    if (isResident(handle))
      throw inGpuMemory('this Tensor', 'dataAsync, or one that `await tensor.to("wasm")` gives');
    return handle.view();
  }

  /** A copy in WASM or in GPU memory. In GPU memory: of float32, where init found a device; CrossAttentionError 'ERR_DEVICE' else. */
  async to(location: Location): Promise<Tensor> {
    const handle = this.#handle;
    checkOneOf('location', location, ['wasm', 'webgpu']);
    if (location === this.location) return this.clone();
    if (isResident(handle)) return Tensor.from(await handle.read(), this.shape, this.dtype);
    if (this.dtype !== 'float32') fail('dtype', this.dtype, "'float32' in GPU memory");
    return new Tensor(await requireAccelerator('location').upload(this), this.dtype);
  }

  /** The buffer in GPU memory, null for a tensor in WASM memory: good until the tensor is disposed of. */
  get gpuBuffer(): UsersBuffer | null {
    const handle = this.#handle;
    return isResident(handle) ? handle.buffer : null;
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

  get #handle(): CoreTensor | ResidentTensor {
    return this.#owned.get('this Tensor');
  }
}

/** GPUBufferUsage STORAGE | COPY_SRC | COPY_DST */
const bufferUsages = 0x80 | 0x4 | 0x8;

const inGpuMemory = (argument: string, takes: string): ArgumentError =>
  new ArgumentError(`${argument} is in GPU memory; it takes ${takes}`);

function requireAccelerator(argument: string): Accelerator {
  const found = accelerator();
  if (found === null) {
    throw new CrossAttentionError(
      'ERR_DEVICE',
      `${argument}: there is no GPU device; it takes an init that finds one: ${getRuntimeInfo().webgpu}`,
    );
  }
  return found;
}

/** Throws ArgumentError, DisposedError, naming the argument. */
export function checkTensor(argument: string, tensor: unknown, dtype: DType | null): Tensor {
  if (!(tensor instanceof Tensor)) fail(argument, tensor, 'a Tensor');
  handleOf(tensor, argument);
  if (dtype !== null && tensor.dtype !== dtype) {
    throw new ArgumentError(
      `${argument} is a Tensor of ${tensor.dtype}; it takes one of the layer's dtype, ${dtype}`,
    );
  }
  return tensor;
}

/** The core's tensor of an argument. Throws ArgumentError or DisposedError, naming it. */
export function tensorHandle(argument: string, tensor: unknown): CoreTensor {
  const handle = handleOf(checkTensor(argument, tensor, null), argument);
  if (isResident(handle))
    throw inGpuMemory(argument, 'a Tensor in WASM memory here: `await tensor.to("wasm")`');
  return handle;
}

/** A tensor's elements in GPU memory; null where they are not there. */
export function residentOf(tensor: Tensor): ResidentTensor | null {
  const handle = handleOf(tensor, 'the Tensor');
  return isResident(handle) ? handle : null;
}

export function wrapResident(handle: ResidentTensor): Tensor {
  return wrap(handle, 'float32');
}

/** The same where only one dtype will do. */
export function tensorHandleOf(argument: string, tensor: unknown, dtype: DType): CoreTensor {
  return tensorHandle(argument, checkTensor(argument, tensor, dtype));
}

/** A core's tensor as a Tensor that owns it. */
export function wrapTensor(handle: CoreTensor, dtype: DType): Tensor {
  return wrap(handle, dtype);
}
