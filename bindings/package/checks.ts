// Checks of arguments, and what they need to know of shapes. Each check throws an error that names the
// argument, its value and what is expected.
import type { DType } from './core';
import { ArgumentError, CrossAttentionError, isInstance, messageOf, ShapeError } from './errors';
import { typedArrayName } from './typed_arrays';

const maxShownCharacters = 100;
const maxShownElements = 8;
const maxShownDepth = 3;
/** Of a value with all its elements. */
const maxShownTotal = 400;

const shorten = (text: string, max = maxShownCharacters): string =>
  text.length > max ? `${text.slice(0, max)}…` : text;

function describe(value: unknown, depth: number): string {
  if (typeof value === 'string') return JSON.stringify(shorten(value));
  if (typeof value === 'bigint') {
    return BigInt.asIntN(256, value) === value ? `${value}n` : 'a bigint of more than 256 bits';
  }
  if (Array.isArray(value)) {
    if (depth === maxShownDepth) return '[…]';
    // By index: methods of an array may be the caller's.
    const { length } = value;
    const elements: string[] = [];
    while (elements.length < Math.min(length, maxShownElements)) {
      elements.push(describe(value[elements.length], depth + 1));
    }
    return `[${elements.join(', ')}${length > maxShownElements ? ', …' : ''}]`;
  }
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return shorten(String(value));
  const name: unknown = value.constructor?.name;
  return typeof name === 'string' ? shorten(name) : 'object';
}

/** Formats any value for an error message. Long values are shortened. Never throws. */
export function show(value: unknown): string {
  try {
    return shorten(describe(value, 0), maxShownTotal);
  } catch {
    // A getter or a proxy of the caller threw.
    return 'an object';
  }
}

/**
 * Calls `get`, which runs code of the caller: getters, proxies, iterators. What that throws becomes an
 * ArgumentError.
 */
export function read<R>(argument: string, get: () => R): R {
  try {
    return get();
  } catch (error) {
    if (isInstance(error, CrossAttentionError)) throw error;
    throw new ArgumentError(`${argument} cannot be read: ${messageOf(error)}`);
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

/** Far more than a name or a prompt has: the core copies strings, and messages repeat them. */
const maxCharacters = 10_000;

export function checkString(argument: string, value: unknown): string {
  if (typeof value !== 'string') fail(argument, value, 'a string');
  if (value.length > maxCharacters) {
    throw new ArgumentError(`${argument} has ${value.length} characters; expected at most ${maxCharacters}`);
  }
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

/**
 * Returns the options of these names, each of which is read once. None is set for undefined and null. Reading
 * runs the caller's getters, which may dispose what the call uses: read options before everything else.
 */
export function readOptions<T extends object, K extends keyof T & string>(
  argument: string,
  value: T | undefined | null,
  names: readonly K[],
): Pick<T, K> {
  const options = {} as Pick<T, K>;
  if (value === undefined || value === null) return options;
  if (typeof value !== 'object') fail(argument, value, 'an object');
  for (const name of names) options[name] = read(`${argument}.${name}`, () => value[name]);
  return options;
}

/** Returns the entries of a Map of any realm; null for everything else. */
export function mapEntries(value: unknown): [unknown, unknown][] | null {
  // V8's error would contain a whole string.
  if (typeof value !== 'object') return null;
  try {
    return [...Map.prototype.entries.call(value as Map<unknown, unknown>)];
  } catch {
    return null;
  }
}

/** Returns a copy of an array, each element of which is read once. */
export function checkArray(argument: string, value: unknown, expected: string, max = 65536): unknown[] {
  return read(argument, () => {
    if (!Array.isArray(value)) fail(argument, value, expected);
    const length = checkInteger(`${argument}.length`, value.length, 0, max);
    return Array.from({ length }, (_, index): unknown => value[index]);
  });
}

/** The core's limit. */
const maxRank = 8;

/** Returns a copy of a shape whose dimensions are integers of at least `min`: 0, or -1 for reshape. */
export function checkShape(argument: string, value: unknown, min = 0): number[] {
  const shape = read(argument, () => {
    if (!Array.isArray(value) && typedArrayName(value) === undefined) {
      fail(argument, value, 'an array of dimensions');
    }
    const { length } = value as ArrayLike<unknown>;
    if (!Number.isInteger(length) || length > maxRank) {
      throw new ShapeError(`${argument} has rank ${show(length)}; expected at most ${maxRank} dimensions`);
    }
    return Array.from({ length }, (_, axis) => (value as ArrayLike<unknown>)[axis]);
  });
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension)) fail(argument, shape, 'an array of integers');
    if ((dimension as number) < min) {
      throw new ShapeError(`${argument} is ${show(shape)}; expected non-negative dimensions`);
    }
  }
  return shape as number[];
}

/** Returns the number of elements of a shape: the product of its dimensions, 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((size, dimension) => size * dimension, 1);

/** True if both shapes have the same rank and the same dimensions. */
export const isSameShape = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((dimension, axis) => dimension === right[axis]);
