// Reads the elements of a TensorProto.
import { show } from '../checks';
import { WeightsError } from '../errors';
import type { TensorProto } from './model';
import { dataTypes } from './tensors';

/** Elements of a tensor. 64-bit integers are float64. */
export type Elements =
  Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

/** TensorProto.DataLocation */
export const dataLocations = { inFile: 0, external: 1 } as const;

/** Why the data outside the file were not found, by tensor. */
export const externalProblems = new WeakMap<TensorProto, string>();

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

type ListField = 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data';

/** How the elements of a type are stored: as raw bytes, or as a list in a field for that type. */
interface Storage {
  /** Bytes of one element in raw data. */
  readonly bytes: number;
  readonly field: ListField;
  /** ONNX is little-endian; so is WebAssembly's memory, and every machine that runs this package. */
  fromRaw(buffer: ArrayBuffer): Elements;
  fromList(list: readonly number[]): Elements;
}

interface NumericArray<T> {
  new (buffer: ArrayBuffer): T;
  from(list: readonly number[]): T;
  readonly BYTES_PER_ELEMENT: number;
}

/** A type that a typed array of JavaScript represents. */
const plain = <T extends Elements>(array: NumericArray<T>, field: ListField): Storage => ({
  bytes: array.BYTES_PER_ELEMENT,
  field,
  fromRaw: (buffer) => new array(buffer),
  fromList: (list) => array.from(list),
});

/** A 16-bit type that is stored as its bits, also in a list. */
const half = (decode: (bits: number) => number): Storage => ({
  bytes: 2,
  field: 'int32Data',
  fromRaw: (buffer) => Float32Array.from(new Uint16Array(buffer), decode),
  fromList: (list) => Float32Array.from(list, decode),
});

const long = (array: BigInt64ArrayConstructor | BigUint64ArrayConstructor, field: ListField): Storage => ({
  bytes: 8,
  field,
  fromRaw: (buffer) => Float64Array.from(new array(buffer), Number),
  fromList: (list) => Float64Array.from(list),
});

const storages = new Map<number, Storage>([
  [dataTypes.float, plain(Float32Array, 'floatData')],
  [dataTypes.double, plain(Float64Array, 'doubleData')],
  [dataTypes.float16, half(fromFloat16)],
  [dataTypes.bfloat16, half(fromBfloat16)],
  [dataTypes.int8, plain(Int8Array, 'int32Data')],
  [dataTypes.uint8, plain(Uint8Array, 'int32Data')],
  [dataTypes.bool, plain(Uint8Array, 'int32Data')],
  [dataTypes.int16, plain(Int16Array, 'int32Data')],
  [dataTypes.uint16, plain(Uint16Array, 'int32Data')],
  [dataTypes.int32, plain(Int32Array, 'int32Data')],
  [dataTypes.int64, long(BigInt64Array, 'int64Data')],
  [dataTypes.uint32, plain(Uint32Array, 'uint64Data')],
  [dataTypes.uint64, long(BigUint64Array, 'uint64Data')],
]);

/** Types of weights, and of numbers that are computed with. */
const floatTypes: readonly unknown[] = [
  dataTypes.float,
  dataTypes.double,
  dataTypes.float16,
  dataTypes.bfloat16,
];
export const isFloatType = (type: number | undefined): boolean => floatTypes.includes(type);

/** Returns the number of elements of a shape; null if it is not a valid shape. */
export function elementCount(dims: readonly number[]): number | null {
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) return null;
  const count = dims.reduce((size, dim) => size * dim, 1);
  return Number.isSafeInteger(count) ? count : null;
}

/** Returns the bytes of a tensor's raw data by its shape and type; null if they are not known. */
export function rawLength({ dims, dataType }: TensorProto): number | null {
  const count = elementCount(dims);
  const storage = storages.get(dataType ?? 0);
  return count === null || storage === undefined ? null : count * storage.bytes;
}

export function refuseTensor({ name }: TensorProto, problem: string): never {
  throw new WeightsError(`tensor ${show(name)} ${problem}`);
}

export function refuseType(tensor: TensorProto): never {
  return refuseTensor(
    tensor,
    `has ONNX type ${tensor.dataType}; expected FLOAT, DOUBLE, FLOAT16 or BFLOAT16, or integers that ` +
      'DequantizeLinear or Cast converts',
  );
}

/**
 * Returns the elements, row by row: float32 for FLOAT, FLOAT16 and BFLOAT16. Throws WeightsError for other
 * types, for data outside the file, and if the number of elements does not match the shape.
 */
export function readElements(tensor: TensorProto): Elements {
  if (tensor.dataLocation === dataLocations.external) {
    refuseTensor(tensor, `has its data outside the file; ${externalProblems.get(tensor)}`);
  }
  const storage = storages.get(tensor.dataType ?? 0) ?? refuseType(tensor);
  const { dims, rawData } = tensor;
  const count = elementCount(dims) ?? refuseTensor(tensor, `has the invalid shape ${show(dims)}`);
  const list = tensor[storage.field];
  const stored = rawData === undefined ? list.length : rawData.length / storage.bytes;
  if (stored !== count) {
    refuseTensor(tensor, `of shape ${show(dims)} has ${stored} elements; expected ${count}`);
  }
  // A copy: bytes of a file have any alignment.
  return rawData === undefined
    ? storage.fromList(list)
    : storage.fromRaw(rawData.slice().buffer as ArrayBuffer);
}
