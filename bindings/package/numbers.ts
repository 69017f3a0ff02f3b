// Numbers of the caller: typed arrays of any realm, and arrays of numbers, booleans or bigints.
import { fail, read, show } from './checks';
import type { NumberArray } from './copy_to_wasm';
import type { DType } from './core';
import { ArgumentError, OutOfMemoryError } from './errors';
import { plainTypedArray, typedArrayName } from './typed_arrays';

/**
 * How numbers are given. 'float16' and 'bfloat16' are the bits of a Uint16Array; they are stored as float32.
 */
export type GivenDType = DType | 'float16' | 'bfloat16';

/** Elements of one kind. */
export type NumbersLike = ArrayLike<number> | ArrayLike<boolean> | ArrayLike<bigint>;

export interface Numbers {
  /** The caller's elements, or a copy of which each element was read once. */
  values: NumberArray;
  dtype: DType;
  isBoolean: boolean;
}

/** Elements of an array that is not a typed one. More do not fit into WebAssembly memory. */
const maxElements = 2 ** 30;

function chooseDType(argument: string, name: string | undefined, dtype: GivenDType | undefined): DType {
  if (dtype === undefined) return name === 'Float64Array' ? 'float64' : 'float32';
  if (dtype === 'float32' || dtype === 'float64') return dtype;
  if (name === 'Uint16Array' || (name === 'Float16Array' && dtype === 'float16')) return 'float32';
  throw new ArgumentError(
    `dtype is ${show(dtype)}; expected "float32" or "float64", or a Uint16Array of the bits as ${argument}`,
  );
}

/** Returns the numbers that these bits are. */
function decode(bits: Uint16Array, dtype: 'float16' | 'bfloat16'): Float32Array {
  if (dtype === 'bfloat16') return new Float32Array(Uint32Array.from(bits, (value) => value << 16).buffer);
  const sign = (value: number): number => (value & 0x8000) << 16;
  // float32 has 112 more in its exponent. All ones stand for infinity and NaN in both.
  const decoded = new Float32Array(Uint32Array.from(bits, (value) => (value & 0x7fff) << 13).buffer);
  const target = new Uint32Array(decoded.buffer);
  for (let index = 0; index < bits.length; ++index) {
    const value = bits[index]!;
    decoded[index]! *= 2 ** 112;
    if ((value & 0x7c00) === 0x7c00) target[index] = 0x7f800000 | ((value & 0x3ff) << 13);
    target[index]! |= sign(value);
  }
  return decoded;
}

function exactNumber(argument: string, value: bigint, dtype: DType): number {
  const number = dtype === 'float32' ? Math.fround(Number(value)) : Number(value);
  if (!Number.isFinite(number) || BigInt(number) !== value) {
    fail(argument, value, `an integer that ${dtype} holds exactly`);
  }
  return number;
}

function allocate(argument: string, length: number, dtype: DType): Float32Array | Float64Array {
  try {
    if (length <= maxElements) return new (dtype === 'float32' ? Float32Array : Float64Array)(length);
  } catch {
    // Below.
  }
  throw new OutOfMemoryError(`${argument} has ${length} elements; expected as many as fit into memory`);
}

function copyElements(
  argument: string,
  source: ArrayLike<unknown>,
  length: number,
  dtype: DType,
): { values: NumberArray; isBoolean: boolean } {
  const values = allocate(argument, length, dtype);
  let kind = 'number';
  for (let index = 0; index < length; ++index) {
    const element = source[index];
    const type = typeof element;
    if (index === 0 && (type === 'boolean' || type === 'bigint')) kind = type;
    if (type !== kind) fail(`${argument}[${index}]`, element, kind === 'number' ? 'a number' : `a ${kind}`);
    values[index] =
      kind === 'bigint' ? exactNumber(`${argument}[${index}]`, element as bigint, dtype) : Number(element);
  }
  return { values, isBoolean: kind === 'boolean' };
}

const wrapBuffer = 'an array of numbers: wrap a buffer, as in new Float32Array(buffer)';

/**
 * Returns the numbers of a typed array, or of an array-like object of numbers, booleans or bigints. Calls
 * `checkLength` before it reads or copies an element. `dtype` defaults to float64 for a Float64Array, else to
 * float32.
 */
export function checkNumbers(
  argument: string,
  value: unknown,
  checkLength: (length: number) => void,
  dtype?: GivenDType,
): Numbers {
  const name = typedArrayName(value);
  const stored = chooseDType(argument, name, dtype);
  if (name === undefined) {
    const length: unknown = read(argument, () =>
      typeof value === 'object' && value !== null ? (value as ArrayLike<unknown>).length : undefined,
    );
    if (!Number.isInteger(length) || (length as number) < 0) {
      const isBuffer = ArrayBuffer.isView(value) || /Buffer$/.test(show(value));
      fail(argument, value, isBuffer ? wrapBuffer : 'an array of numbers');
    }
    checkLength(length as number);
    const source = value as ArrayLike<unknown>;
    return {
      ...read(argument, () => copyElements(argument, source, length as number, stored)),
      dtype: stored,
    };
  }
  const view = plainTypedArray(value as object);
  if (view === null) {
    throw new ArgumentError(
      `${argument} has a detached or shrunk buffer; expected numbers. A view of a Tensor is valid only ` +
        'until the next call into this package: use data()',
    );
  }
  checkLength(view.length);
  let values = view as unknown as NumberArray;
  if (name.startsWith('Big')) ({ values } = copyElements(argument, view, view.length, stored));
  else if (name === 'Uint16Array' && (dtype === 'float16' || dtype === 'bfloat16')) {
    values = decode(view as unknown as Uint16Array, dtype);
  }
  return { values, dtype: stored, isBoolean: false };
}
