import {
  checkDType,
  checkFinite,
  checkInteger,
  checkNotNegative,
  checkOneOf,
  checkShape,
  fail,
  read,
  readOptions,
  show,
  sizeOf,
} from './checks';
import { copyToWasm } from './copy_to_wasm';
import type { CoreTensor, CoreTensorClass, DType, TypedArray } from './core';
import { ArgumentError, CrossAttentionError, ShapeError } from './errors';
import type { UsersBuffer } from './platform_types';
import { Owned } from './handles';
import { failInstance, guardMethods, internal, lockFields, requireInternal } from './instances';
import { checkNumbers, type GivenDType, type NumbersLike } from './numbers';
import { type GpuMemory, isResident, type Location, type ResidentTensor } from './resident';
import { getCore, getGpuMemory, getRuntimeInfo } from './runtime';

function coreClass(dtype: DType): CoreTensorClass {
  return dtype === 'float32' ? getCore().TensorFloat32 : getCore().TensorFloat64;
}

/** Returns a seed for random numbers if the user gave none. */
export function randomSeed(): number {
  return Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
}

/**
 * A dense row-major tensor of float32 or float64 in WASM memory, or of float32 in GPU memory. Call `dispose`
 * (or declare it with `using`) to free its memory; a FinalizationRegistry frees tensors that were collected
 * without it.
 *
 * @example
 * using x = Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]);
 * x.data(); // Float32Array [1, 2, 3, 4, 5, 6]
 */
export class Tensor {
  static readonly name = 'Tensor';

  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The number of elements. */
  readonly size: number;
  /** The memory that stores the elements: 'wasm' or 'webgpu'. */
  readonly location: Location;
  /**
   * True for a tensor that `Tensor.from` made of booleans, and for its copies: 1 is true, 0 is false. As a
   * mask it says which keys are attended to.
   */
  readonly isBoolean: boolean;
  readonly #owned: Owned<CoreTensor | ResidentTensor>;

  static {
    guardMethods(this, (value) => #owned in value);
  }

  private constructor(
    token: typeof internal,
    handle: CoreTensor | ResidentTensor,
    dtype: DType,
    isBoolean = false,
  ) {
    requireInternal(token, 'Tensor', 'Tensor.from, zeros, full or randn');
    this.#owned = new Owned(this, handle);
    this.shape = Object.freeze(handle.shape());
    this.dtype = dtype;
    this.size = sizeOf(this.shape);
    this.location = isResident(handle) ? 'webgpu' : 'wasm';
    this.isBoolean = isBoolean;
    lockFields(this);
  }

  /** @internal True for a Tensor of this copy of the package, false for a proxy of one. */
  static isTensor(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #owned in value;
  }

  /** @internal Returns a Tensor that owns the handle. */
  static wrap(handle: CoreTensor | ResidentTensor, dtype: DType): Tensor {
    return new Tensor(internal, handle, dtype);
  }

  /** @internal Returns the handle. Throws DisposedError that names the argument. */
  getHandle(argument: string): CoreTensor | ResidentTensor {
    return this.#owned.get(argument);
  }

  /**
   * Copies `data`, row by row: numbers, booleans (1 and 0; see isBoolean) or bigints. `dtype` defaults to
   * that of a Float32Array or Float64Array, else to 'float32'. With 'float16' or 'bfloat16', `data` is a
   * Uint16Array of their bits, which are stored as float32. Throws ShapeError if the shape has another number
   * of elements, ArgumentError if `data` has values of another type, or bigints that `dtype` cannot hold
   * exactly.
   */
  static from(data: NumbersLike, shape: readonly number[], dtype?: GivenDType): Tensor {
    getCore();
    const dimensions = checkShape('shape', shape);
    if (dtype !== undefined) checkOneOf('dtype', dtype, ['float32', 'float64', 'float16', 'bfloat16']);
    const size = sizeOf(dimensions);
    const checkLength = (length: number): void => {
      if (length === size) return;
      throw new ShapeError(`data has ${length} elements; expected ${size} for shape ${show(dimensions)}`);
    };
    const { values, dtype: kind, isBoolean } = checkNumbers('data', data, checkLength, dtype);
    const handle = copyToWasm('data', values, () => coreClass(kind).uninitialized(dimensions));
    return new Tensor(internal, handle, kind, isBoolean);
  }

  /** Returns a tensor of zeros. `dtype` defaults to 'float32'. */
  static zeros(shape: readonly number[], dtype: DType = 'float32'): Tensor {
    return Tensor.full(shape, 0, dtype);
  }

  /** Returns a tensor whose elements all are `value`. `dtype` defaults to 'float32'. */
  static full(shape: readonly number[], value: number, dtype: DType = 'float32'): Tensor {
    getCore();
    const dimensions = checkShape('shape', shape);
    if (typeof value !== 'number') fail('value', value, 'a number');
    const kind = checkDType('dtype', dtype);
    const handle = coreClass(kind).uninitialized(dimensions);
    handle.fill(value);
    return new Tensor(internal, handle, kind);
  }

  /**
   * Returns normally distributed random numbers. The same seed gives the same numbers on every machine.
   * Defaults: random seed, mean 0, std 1 (the standard deviation), dtype 'float32'.
   */
  static randn(
    shape: readonly number[],
    options?: { seed?: number; mean?: number; std?: number; dtype?: DType },
  ): Tensor {
    getCore();
    const dimensions = checkShape('shape', shape);
    const {
      seed = randomSeed(),
      mean = 0,
      std = 1,
      dtype = 'float32',
    } = readOptions('options', options, ['seed', 'mean', 'std', 'dtype']);
    checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
    checkFinite('mean', mean);
    checkNotNegative('std', std);
    const kind = checkDType('dtype', dtype);
    const handle = coreClass(kind).uninitialized(dimensions);
    handle.fillRandomNormal(seed, mean, std);
    return new Tensor(internal, handle, kind);
  }

  /**
   * Wraps a buffer of yours with float32 elements, row by row, without a copy. The buffer must belong to the
   * device that was given to `init` and have the usages STORAGE, COPY_SRC and COPY_DST. It is not destroyed
   * with the tensor. Throws ShapeError if the buffer is too small, CrossAttentionError 'ERR_DEVICE' if there
   * is no device.
   */
  static fromGpuBuffer(buffer: UsersBuffer, shape: readonly number[]): Tensor {
    getCore();
    const dimensions = checkShape('shape', shape);
    const { size, usage } = readOptions('buffer', buffer, ['size', 'usage']);
    if (typeof size !== 'number' || typeof usage !== 'number') fail('buffer', buffer, 'a GPUBuffer');
    const bytes = 4 * sizeOf(dimensions);
    if (size < bytes) {
      throw new ShapeError(
        `buffer has ${size} bytes; expected at least ${bytes} for shape ${show(dimensions)}`,
      );
    }
    if ((usage & bufferUsages) !== bufferUsages) {
      fail('buffer.usage', usage, 'STORAGE, COPY_SRC and COPY_DST');
    }
    const memory = requireGpuMemory('buffer');
    const handle = read('buffer', () => memory.wrapBuffer(buffer, dimensions));
    return new Tensor(internal, handle, 'float32');
  }

  get rank(): number {
    return this.shape.length;
  }

  get disposed(): boolean {
    return this.#owned.disposed;
  }

  /**
   * Returns a copy of the elements, independent of WASM memory. Throws ArgumentError for a tensor in GPU
   * memory: use dataAsync.
   */
  data(): TypedArray {
    return this.view().slice();
  }

  /**
   * Resolves with a copy of the elements of any tensor; from GPU memory after all calls that were submitted
   * before.
   */
  async dataAsync(): Promise<TypedArray> {
    const handle = this.#handle;
    return isResident(handle) ? handle.read() : this.data();
  }

  /**
   * Returns a zero-copy view into WASM memory, valid until the next call into this package. Throws
   * ArgumentError for a tensor in GPU memory.
   */
  view(): TypedArray {
    const handle = this.#handle;
    if (isResident(handle)) throw inGpuMemory('this Tensor', 'dataAsync or `await tensor.to("wasm")`');
    return handle.view();
  }

  /**
   * Resolves with a copy in WASM or GPU memory. GPU memory requires float32, and a device: else rejects with
   * CrossAttentionError 'ERR_DEVICE'.
   */
  async to(location: Location): Promise<Tensor> {
    const handle = this.#handle;
    const { shape, dtype, isBoolean } = this;
    checkOneOf('location', location, ['wasm', 'webgpu']);
    if (location === this.location) return this.clone();
    if (isResident(handle)) {
      const values = await handle.read();
      const copy = copyToWasm('data', values, () => coreClass(dtype).uninitialized(shape));
      return new Tensor(internal, copy, dtype, isBoolean);
    }
    if (dtype !== 'float32') fail('dtype', dtype, "'float32' in GPU memory");
    const values = this.data() as Float32Array;
    return new Tensor(internal, await requireGpuMemory('location').upload(values, shape), dtype, isBoolean);
  }

  /** The buffer in GPU memory, valid until the tensor is disposed; null for a tensor in WASM memory. */
  get gpuBuffer(): UsersBuffer | null {
    const handle = this.#handle;
    return isResident(handle) ? handle.buffer : null;
  }

  /**
   * Returns the same elements under another shape, as PyTorch's view: shared, not copied. One dimension may
   * be -1. Throws ShapeError if the shape has another number of elements.
   */
  reshape(shape: readonly number[]): Tensor {
    // Reading the shape runs the caller's code, which may dispose this tensor.
    const dimensions = checkShape('shape', shape, -1);
    return new Tensor(internal, this.#handle.reshaped(dimensions), this.dtype, this.isBoolean);
  }

  /** Returns a copy in the same memory. */
  clone(): Tensor {
    return new Tensor(internal, this.#handle.clone(), this.dtype, this.isBoolean);
  }

  /** Frees the memory unless reshaped tensors or a layer share it. A second call has no effect. */
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

const inGpuMemory = (argument: string, remedy: string): ArgumentError =>
  new ArgumentError(`${argument} is in GPU memory; expected a Tensor in WASM memory: use ${remedy}`);

function requireGpuMemory(argument: string): GpuMemory {
  const memory = getGpuMemory();
  if (memory === null) {
    throw new CrossAttentionError(
      'ERR_DEVICE',
      `${argument} requires a GPU device; init found none: ${getRuntimeInfo().webgpu}`,
    );
  }
  return memory;
}

/**
 * Returns an argument that is a Tensor, of the layer's dtype unless that is null. Throws ArgumentError or
 * DisposedError that names the argument.
 */
export function checkTensor(argument: string, tensor: unknown, dtype: DType | null): Tensor {
  if (!Tensor.isTensor(tensor)) failInstance(argument, tensor, Tensor);
  tensor.getHandle(argument);
  if (dtype !== null && tensor.dtype !== dtype) {
    throw new ArgumentError(`${argument} has dtype ${tensor.dtype}; expected the layer's dtype, ${dtype}`);
  }
  return tensor;
}

/** Returns the core's tensor of an argument that is in WASM memory. Throws as checkTensor does. */
export function tensorHandle(argument: string, tensor: unknown, dtype: DType | null): CoreTensor {
  const handle = checkTensor(argument, tensor, dtype).getHandle(argument);
  if (isResident(handle)) throw inGpuMemory(argument, '`await tensor.to("wasm")`');
  return handle;
}

/** Returns a tensor's elements in GPU memory; null if they are in WASM memory. */
export function residentOf(tensor: Tensor): ResidentTensor | null {
  const handle = tensor.getHandle('the Tensor');
  return isResident(handle) ? handle : null;
}

/** Returns a Tensor that owns elements in GPU memory. */
export const wrapResident = (handle: ResidentTensor): Tensor => Tensor.wrap(handle, 'float32');

/** Returns a Tensor that owns a tensor of the core. */
export const wrapTensor = (handle: CoreTensor, dtype: DType): Tensor => Tensor.wrap(handle, dtype);
