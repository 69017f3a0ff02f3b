// Arrays of numbers with a shape, and the operations on them from which constants of a model are computed.
import { sizeOf } from '../checks';
import { dataTypes } from './tensors';
import type { Elements } from './tensor_elements';
import { isFloatType } from './tensor_elements';

/** `type` is a TensorProto.DataType. */
export interface ConstantArray {
  readonly dims: readonly number[];
  readonly elements: Elements;
  readonly type: number;
}

/** Arrays that are computed have at most so many axes. */
export const maxRank = 16;

/** Returns an uninitialized array for elements of a type. 16-bit floats are float32, integers float64. */
const allocate = (type: number, size: number): Float32Array | Float64Array =>
  isFloatType(type) && type !== dataTypes.double ? new Float32Array(size) : new Float64Array(size);

/** Returns the distance between neighbours along each axis of a contiguous array. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    stride *= dims[axis]!;
  }
  return strides;
}

/** Calls `visit` with the offsets of each element of several strided views of one shape, in order. */
function forEachOffset(
  dims: readonly number[],
  views: readonly { strides: readonly number[]; offset: number }[],
  visit: (index: number, offsets: readonly number[]) => void,
): void {
  const size = sizeOf(dims);
  const counters = new Array<number>(dims.length).fill(0);
  const offsets = views.map(({ offset }) => offset);
  for (let index = 0; index < size; ++index) {
    visit(index, offsets);
    for (let axis = dims.length - 1; axis >= 0; --axis) {
      const isLast = ++counters[axis]! === dims[axis];
      const steps = isLast ? 1 - dims[axis]! : 1;
      for (let view = 0; view < views.length; ++view) {
        offsets[view]! += steps * views[view]!.strides[axis]!;
      }
      if (!isLast) break;
      counters[axis] = 0;
    }
  }
}

/** Returns the elements at these strides, as a contiguous array. */
export function strided(
  { elements, type }: ConstantArray,
  dims: readonly number[],
  strides: readonly number[],
  offset = 0,
): ConstantArray {
  const Array = elements.constructor as new (size: number) => Elements;
  const result = new Array(sizeOf(dims));
  forEachOffset(dims, [{ strides, offset }], (index, offsets) => (result[index] = elements[offsets[0]!]!));
  return { dims, elements: result, type };
}

/** Returns the strides at which an array broadcasts to a shape of at least its rank. */
function broadcastStrides(dims: readonly number[], target: readonly number[]): number[] {
  const missing = target.length - dims.length;
  const strides = stridesOf(dims);
  return target.map((_, axis) => {
    const own = axis - missing;
    return own < 0 || dims[own] === 1 ? 0 : strides[own]!;
  });
}

/** Returns the shape to which shapes broadcast as in NumPy; null if they do not. */
export function broadcastDims(...shapes: readonly (readonly number[])[]): number[] | null {
  const rank = Math.max(0, ...shapes.map((dims) => dims.length));
  const result: number[] = [];
  for (let axis = 0; axis < rank; ++axis) {
    const sizes = shapes.map((dims) => dims[axis - rank + dims.length] ?? 1);
    const size = sizes.find((one) => one !== 1) ?? 1;
    if (sizes.some((one) => one !== 1 && one !== size)) return null;
    result.push(size);
  }
  return result;
}

/** Expands an array to a shape that it broadcasts to. */
export const expanded = (array: ConstantArray, dims: readonly number[]): ConstantArray =>
  strided(array, dims, broadcastStrides(array.dims, dims));

/** Combines arrays element by element. Their shapes must broadcast to `dims`. */
export function combine(
  dims: readonly number[],
  type: number,
  arrays: readonly ConstantArray[],
  work: (...values: number[]) => number,
): ConstantArray {
  const result = allocate(type, sizeOf(dims));
  const views = arrays.map((array) => ({ strides: broadcastStrides(array.dims, dims), offset: 0 }));
  const [first, second, third] = arrays.map(({ elements }) => elements);
  forEachOffset(dims, views, (index, offsets) => {
    result[index] = work(
      first![offsets[0]!]!,
      second === undefined ? 0 : second[offsets[1]!]!,
      third === undefined ? 0 : third[offsets[2]!]!,
    );
  });
  return { dims, elements: result, type };
}

/** Joins arrays along an axis. */
export function joined(arrays: readonly ConstantArray[], axis: number): ConstantArray {
  const [first] = arrays as [ConstantArray];
  const outer = sizeOf(first.dims.slice(0, axis));
  const lengths = arrays.map(({ dims }) => sizeOf(dims.slice(axis)));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const result = allocate(first.type, outer * total);
  let begin = 0;
  arrays.forEach(({ elements }, index) => {
    const length = lengths[index]!;
    for (let row = 0; row < outer; ++row) {
      result.set(elements.subarray(row * length, (row + 1) * length), row * total + begin);
    }
    begin += length;
  });
  const dims = [...first.dims];
  dims[axis] = arrays.reduce((sum, { dims: { [axis]: size } }) => sum + size!, 0);
  return { dims, elements: result, type: first.type };
}

/** Rounds to the nearest number with a mantissa of `bits`, halves to even; subnormal below 2^minExponent. */
function rounded(value: number, bits: number, minExponent: number, max: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), minExponent);
  const unit = 2 ** (exponent - bits);
  // Adding and subtracting 2^52 rounds to an integer, halves to even.
  const quotient = Math.abs(value) / unit;
  const result = (quotient + 2 ** 52 - 2 ** 52) * unit;
  return Math.sign(value) * (result > max ? Infinity : result);
}

/** Converts elements to another type, as Cast does. Returns the same elements if they do not change. */
export function converted(array: ConstantArray, type: number): ConstantArray {
  const { dims, elements } = array;
  if (type === array.type) return array;
  const round = conversions.get(type);
  if (round === undefined && elements instanceof Float32Array) return { dims, elements, type };
  const result = allocate(type, elements.length);
  if (round === undefined) result.set(elements);
  else elements.forEach((value, index) => (result[index] = round(value)));
  return { dims, elements: result, type };
}

const conversions = new Map<number, (value: number) => number>([
  [dataTypes.float16, (value) => rounded(value, 10, -14, 65504)],
  [dataTypes.bfloat16, (value) => rounded(value, 7, -126, 3.3895313892515355e38)],
  [dataTypes.double, (value) => value],
  [dataTypes.bool, (value) => (value === 0 ? 0 : 1)],
  ...[
    dataTypes.int8,
    dataTypes.uint8,
    dataTypes.int16,
    dataTypes.uint16,
    dataTypes.int32,
    dataTypes.int64,
  ].map((type): [number, (value: number) => number] => [type, Math.trunc]),
]);
