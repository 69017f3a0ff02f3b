// Checks of what comes from outside, so that every error names the argument, what it got and what it takes.
import type { DType } from './core';
import { ArgumentError, ShapeError } from './errors';

/** A value as an error message shows it. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value))
    return `[${value.slice(0, 8).map(show).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}

export function fail(argument: string, got: unknown, takes: string): never {
  throw new ArgumentError(`${argument} is ${show(got)}; it takes ${takes}`);
}

/** An integer from `least` to `most`. */
export function checkInteger(argument: string, value: unknown, least: number, most: number): number {
  const fits = Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
  if (!fits) fail(argument, value, `an integer from ${least} to ${most}`);
  return value as number;
}

export function checkFinite(argument: string, value: unknown): number {
  if (!Number.isFinite(value)) fail(argument, value, 'a finite number');
  return value as number;
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
  if (!choices.includes(value as T)) fail(argument, value, choices.map(show).join(' or '));
  return value as T;
}

export function checkDType(argument: string, value: unknown): DType {
  return checkOneOf(argument, value, ['float32', 'float64']);
}

/** An object of options; undefined and null count as none. */
export function checkOptions<T extends object>(argument: string, value: T | undefined | null): T {
  if (value === undefined || value === null) return {} as T;
  if (typeof value !== 'object') fail(argument, value, 'an object');
  return value;
}

/** Dimensions: safe integers, none negative; `least` -1 allows that one too, for reshape. */
export function checkShape(argument: string, value: unknown, least = 0): number[] {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) fail(argument, value, 'an array of dimensions');
  const shape = Array.from(value as ArrayLike<number>);
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension)) fail(argument, shape, 'an array of integers');
    if (dimension < least) {
      throw new ShapeError(`${argument} is ${show(shape)}; its dimensions must not be negative`);
    }
  }
  return shape;
}

export const isSameShape = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((size, axis) => size === right[axis]);

/** Numbers in a row: a typed array or an array of numbers. */
export function checkNumbers(argument: string, value: unknown): ArrayLike<number> {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    if (value instanceof BigInt64Array || value instanceof BigUint64Array) fail(argument, value, 'numbers');
    return value as unknown as ArrayLike<number>;
  }
  const isArrayLike =
    typeof value === 'object' && value !== null && Number.isInteger((value as { length?: unknown }).length);
  if (!isArrayLike) fail(argument, value, 'an array of numbers');
  const numbers = value as ArrayLike<unknown>;
  for (let index = 0; index < numbers.length; ++index) {
    if (typeof numbers[index] !== 'number') fail(`${argument}[${index}]`, numbers[index], 'a number');
  }
  return numbers as ArrayLike<number>;
}
