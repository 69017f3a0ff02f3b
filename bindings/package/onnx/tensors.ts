// TensorProto from arrays of numbers.
import type { DType, TypedArray } from '../core';
import { makeTensor } from './model';
import type { TensorProto } from './model';

/** TensorProto.DataType */
export const dataTypes = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;

export const dataTypeOf = (dtype: DType): number =>
  dtype === 'float32' ? dataTypes.float : dataTypes.double;

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
