// Conversion between TensorProto and arrays of numbers.
import { show } from '../checks';
import type { DType, TypedArray } from '../core';
import { WeightsError } from '../errors';
import { makeTensor } from './model';
import type { TensorProto } from './model';

/** TensorProto.DataType */
export const dataTypes = { float: 1, int32: 6, int64: 7, float16: 10, double: 11, bfloat16: 16 } as const;

export const dataTypeOf = (dtype: DType): number =>
  dtype === 'float32' ? dataTypes.float : dataTypes.double;

const externalData = 1;

/** IEEE 754 binary16: 5 bits of exponent, 10 of mantissa. */
function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

const scratch = new DataView(new ArrayBuffer(4));

/** bfloat16 is the upper half of a float32. */
function fromBfloat16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** How the elements of a type are stored: as raw bytes, or as a list in a field for that type. */
interface Storage {
  /** Bytes of one element in raw data. */
  bytes: number;
  /** ONNX is little-endian; so is WebAssembly's memory, and every machine that runs this package. */
  fromRaw(buffer: ArrayBuffer): TypedArray;
  listed(tensor: TensorProto): number[];
  fromList(list: number[]): TypedArray;
}

const storages = new Map<number, Storage>([
  [
    dataTypes.float,
    {
      bytes: 4,
      fromRaw: (buffer) => new Float32Array(buffer),
      listed: (tensor) => tensor.floatData,
      fromList: (list) => Float32Array.from(list),
    },
  ],
  [
    dataTypes.double,
    {
      bytes: 8,
      fromRaw: (buffer) => new Float64Array(buffer),
      listed: (tensor) => tensor.doubleData,
      fromList: (list) => Float64Array.from(list),
    },
  ],
  [
    dataTypes.float16,
    {
      bytes: 2,
      fromRaw: (buffer) => Float32Array.from(new Uint16Array(buffer), fromFloat16),
      listed: (tensor) => tensor.int32Data,
      fromList: (list) => Float32Array.from(list, fromFloat16),
    },
  ],
  [
    dataTypes.bfloat16,
    {
      bytes: 2,
      fromRaw: (buffer) => Float32Array.from(new Uint16Array(buffer), fromBfloat16),
      listed: (tensor) => tensor.int32Data,
      fromList: (list) => Float32Array.from(list, fromBfloat16),
    },
  ],
  [
    dataTypes.int64,
    {
      bytes: 8,
      fromRaw: (buffer) => Float64Array.from(new BigInt64Array(buffer), Number),
      listed: (tensor) => tensor.int64Data,
      fromList: (list) => Float64Array.from(list),
    },
  ],
  [
    dataTypes.int32,
    {
      bytes: 4,
      fromRaw: (buffer) => Float64Array.from(new Int32Array(buffer)),
      listed: (tensor) => tensor.int32Data,
      fromList: (list) => Float64Array.from(list),
    },
  ],
]);

/** Returns the number of elements of a shape; null if it is not a valid shape. */
export function elementCount(dims: readonly number[]): number | null {
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) return null;
  const count = dims.reduce((size, dim) => size * dim, 1);
  return Number.isSafeInteger(count) ? count : null;
}

/** True if readElements supports the tensor's type and storage. */
export function isReadable(tensor: TensorProto): boolean {
  return storages.has(tensor.dataType ?? 0) && tensor.dataLocation !== externalData;
}

/**
 * Returns the elements, row by row: float64 for DOUBLE and integers, float32 for FLOAT, FLOAT16 and BFLOAT16.
 * Throws WeightsError for other types, for data outside the file, and if the number of elements does not
 * match the shape.
 */
export function readElements(tensor: TensorProto): TypedArray {
  const refuse = (problem: string): never => {
    throw new WeightsError(`tensor ${show(tensor.name)} ${problem}`);
  };
  if (tensor.dataLocation === externalData) {
    refuse('has its data outside the file; expected a model with its weights inside');
  }
  const storage = storages.get(tensor.dataType ?? 0);
  if (storage === undefined) {
    return refuse(`has ONNX type ${tensor.dataType}; expected FLOAT, DOUBLE, FLOAT16 or BFLOAT16`);
  }
  const count = elementCount(tensor.dims) ?? refuse(`has the invalid shape ${show(tensor.dims)}`);
  const { rawData } = tensor;
  const list = storage.listed(tensor);
  const stored = rawData === undefined ? list.length : rawData.length / storage.bytes;
  if (stored !== count) refuse(`of shape ${show(tensor.dims)} has ${stored} elements; expected ${count}`);
  // A copy: bytes of a file have any alignment.
  return rawData === undefined ? storage.fromList(list) : storage.fromRaw(rawData.slice().buffer);
}

/** Returns a tensor whose raw data are the elements' own memory, not a copy. */
export function floatTensor(name: string, dims: readonly number[], elements: TypedArray): TensorProto {
  const rawData = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
  const dataType = elements instanceof Float32Array ? dataTypes.float : dataTypes.double;
  return makeTensor({ name, dims: [...dims], dataType, rawData });
}

/** Returns a list of integers, such as the shape for a Reshape. */
export function integerTensor(name: string, elements: readonly number[]): TensorProto {
  const rawData = new Uint8Array(BigInt64Array.from(elements, BigInt).buffer);
  return makeTensor({ name, dims: [elements.length], dataType: dataTypes.int64, rawData });
}
