// Objects of this package's classes, as opposed to those that only look like them: proxies (Vue's reactive),
// Object.create(Tensor.prototype), instances of another copy of the package. Private fields exist only on the
// former, so that a method of the latter would throw a TypeError of the engine.
import { fail, show } from './checks';
import { ArgumentError } from './errors';

interface Class {
  readonly name: string;
  readonly prototype: object;
}
type Method = (this: unknown, ...values: unknown[]) => unknown;

const withArticle = (name: string): string => (/^[aeiou]/i.test(name) ? `an ${name}` : `a ${name}`);

function inherits(value: unknown, { prototype }: Class): boolean {
  try {
    return Object.prototype.isPrototypeOf.call(prototype, value as object);
  } catch {
    // A proxy of the caller threw.
    return false;
  }
}

/** Throws ArgumentError for an argument that is not an instance of one of this package's classes. */
export function failInstance(argument: string, value: unknown, type: Class): never {
  const name = withArticle(type.name);
  if (inherits(value, type)) {
    throw new ArgumentError(
      `${argument} is a proxy of ${name} or was made from its prototype; expected the ${type.name} itself: ` +
        'exclude it from reactive state (in Vue: markRaw), or pass the raw object (in Vue: toRaw)',
    );
  }
  if (show(value) === type.name) {
    throw new ArgumentError(
      `${argument} is ${name} of another copy of this package; expected one of this copy: load the package ` +
        'once, in one realm',
    );
  }
  fail(argument, value, name);
}

const asyncFunction = Object.getPrototypeOf(async () => {}) as object;

function guard(method: Method, type: Class, isInstance: (value: object) => boolean): Method {
  const isAsync = Object.prototype.isPrototypeOf.call(asyncFunction, method);
  return function (...values) {
    if (typeof this === 'object' && this !== null && isInstance(this)) return method.apply(this, values);
    try {
      failInstance('this', this, type);
    } catch (error) {
      if (isAsync) return Promise.reject(error as Error);
      throw error;
    }
  };
}

/**
 * Makes all methods and accessors of a class throw ArgumentError if `this` is not an instance. Also names the
 * class in Symbol.toStringTag: Vue makes no proxies of objects that are not plain ones.
 */
export function guardMethods(type: Class, isInstance: (value: object) => boolean): void {
  const own = type.prototype;
  // Those of base classes, too, which are bases of this class only.
  for (let prototype = own; prototype !== Object.prototype; prototype = Object.getPrototypeOf(prototype)) {
    for (const key of Reflect.ownKeys(prototype)) {
      if (key === 'constructor') continue;
      const property = Object.getOwnPropertyDescriptor(prototype, key)!;
      for (const part of ['value', 'get', 'set'] as const) {
        const method: unknown = property[part];
        if (typeof method === 'function') property[part] = guard(method as Method, type, isInstance);
      }
      Object.defineProperty(prototype, key, property);
    }
  }
  Object.defineProperty(own, Symbol.toStringTag, { value: type.name, configurable: true });
}

/** Makes the public fields of an object constant: the package relies on them. */
export function lockFields(object: object): void {
  for (const key of Object.keys(object)) Object.defineProperty(object, key, { writable: false });
}

/** What this package passes to constructors that users cannot call. */
export const internal = Symbol('internal');

/** Throws ArgumentError unless this package called the constructor. */
export function requireInternal(token: unknown, name: string, use: string): void {
  if (token !== internal) throw new ArgumentError(`${name} has no public constructor; use ${use}`);
}
