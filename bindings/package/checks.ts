// Checks of arguments, and what they need to know of shapes. Each check throws an error that names the
// argument, its value and what is expected.
import type { NumberArray } from './copy_to_wasm';
import type { DType } from './core';
import { ArgumentError, ShapeError } from './errors';

const maxShownCharacters = 100;
const maxShownElements = 8;
const maxShownDepth = 3;

const shorten = (text: string): string =>
  text.length > maxShownCharacters ? `${text.slice(0, maxShownCharacters)}…` : text;

/** Formats any value for an error message. Long values are shortened. Never throws. */
export function show(value: unknown, depth = 0): string {
  try {
    if (typeof value === 'string') return JSON.stringify(shorten(value));
    if (Array.isArray(value)) {
      if (depth === maxShownDepth) return '[…]';
      const elements = value.slice(0, maxShownElements).map((element) => show(element, depth + 1));
      return `[${elements.join(', ')}${value.length > maxShownElements ? ', …' : ''}]`;
    }
    if (typeof value === 'function') return 'a function';
    const isObject = typeof value === 'object' && value !== null;
    return shorten(String(isObject ? (value.constructor?.name ?? 'object') : value));
  } catch {
    // A getter or a proxy of the caller threw.
    return 'an object';
  }
}

/** Throws ArgumentError: `<argument> is <value>; expected <expected>`. */
export function fail(argument: string, value: unknown, expected: string): never {
  const shown = show(value);
  // An object of a class that is loaded twice, or of another class with this name.
  const isForeign = typeof value === 'object' && expected.startsWith(`a ${shown}`);
  const origin = isForeign ? ' of another copy of this package, or of another library' : '';
  throw new ArgumentError(`${argument} is ${shown}${origin}; expected ${expected}`);
}

/** Returns `value` if it is an integer from `min` to `max`. */
export function checkInteger(argument: string, value: unknown, min: number, max: number): number {
  const fits = Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
  if (!fits) fail(argument, value, `an integer from ${min} to ${max}`);
  return value as number;
}

export function checkFinite(argument: string, value: unknown): number {
  if (!Number.isFinite(value)) fail(argument, value, 'a finite number');
  return value as number;
}

export function checkNotNegative(argument: string, value: unknown): number {
  if (checkFinite(argument, value) < 0) fail(argument, value, 'a number of at least 0');
  return value as number;
}

/** Returns `value` if it is a number from 0 to 1. */
export function checkShare(argument: string, value: unknown): number {
  const share = checkFinite(argument, value);
  if (share < 0 || share > 1) fail(argument, value, 'a number from 0 to 1');
  return share;
}

export function checkBoolean(argument: string, value: unknown): boolean {
  if (typeof value !== 'boolean') fail(argument, value, 'true or false');
  return value;
}

export function checkString(argument: string, value: unknown): string {
  if (typeof value !== 'string') fail(argument, value, 'a string');
  return value;
}

export function checkOneOf<T extends string>(argument: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) {
    fail(argument, value, choices.map((choice) => show(choice)).join(' or '));
  }
  return value as T;
}

export function checkDType(argument: string, value: unknown): DType {
  return checkOneOf(argument, value, ['float32', 'float64']);
}

/** Returns an object of options; an empty one for undefined and null. */
export function checkOptions<T extends object>(argument: string, value: T | undefined | null): T {
  if (value === undefined || value === null) return {} as T;
  if (typeof value !== 'object') fail(argument, value, 'an object');
  return value;
}

/** Returns a copy of a shape whose dimensions are integers of at least `min`: 0, or -1 for reshape. */
export function checkShape(argument: string, value: unknown, min = 0): number[] {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) fail(argument, value, 'an array of dimensions');
  const shape = Array.from(value as ArrayLike<number>);
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension)) fail(argument, shape, 'an array of integers');
    if (dimension < min) {
      throw new ShapeError(`${argument} is ${show(shape)}; expected non-negative dimensions`);
    }
  }
  return shape;
}

/** The maximum of elements that a tensor can have: 2 GiB of float32. */
const maxElements = 2 ** 29;

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/**
 * Returns `value` if it is a typed array of numbers (not of bigints), or a copy of an array-like object of
 * numbers, each of which is read once.
 */
export function checkNumbers(argument: string, value: unknown): NumberArray {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    if (value instanceof BigInt64Array || value instanceof BigUint64Array) fail(argument, value, 'numbers');
    if (value.byteLength === 0 && isDetached(value.buffer)) {
      throw new ArgumentError(
        `${argument} has a detached buffer; expected numbers. A view of a Tensor is valid only until the next ` +
          'call into this package: use data()',
      );
    }
    return value as NumberArray;
  }
  const length = typeof value === 'object' && value !== null ? (value as { length?: unknown }).length : null;
  if (!Number.isInteger(length)) fail(argument, value, 'an array of numbers');
  const numbers = new Float64Array(checkInteger(`${argument}.length`, length, 0, maxElements));
  for (let index = 0; index < numbers.length; ++index) {
    const element = (value as ArrayLike<unknown>)[index];
    if (typeof element !== 'number') fail(`${argument}[${index}]`, element, 'a number');
    numbers[index] = element;
  }
  return numbers;
}

/** Returns the number of elements of a shape: the product of its dimensions, 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((size, dimension) => size * dimension, 1);

/** True if both shapes have the same rank and the same dimensions. */
export const isSameShape = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((dimension, axis) => dimension === right[axis]);
