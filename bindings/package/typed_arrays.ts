// Typed arrays as they are, whatever realm or subclass they are of: its getters may be the caller's, and
// `instanceof` is false for those of another realm (an iframe, Node's vm, jest).

const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
const getter = (name: PropertyKey): ((this: unknown) => unknown) =>
  Object.getOwnPropertyDescriptor(prototype, name)!.get!;
const nameOf = getter(Symbol.toStringTag);
const [bufferOf, byteOffsetOf, lengthOf] = ['buffer', 'byteOffset', 'length'].map(getter) as [
  typeof nameOf,
  typeof nameOf,
  typeof nameOf,
];
const { keys } = Uint8Array.prototype;

/** Returns 'Float32Array' and the like; undefined for everything else, also for proxies of typed arrays. */
export const typedArrayName = (value: unknown): string | undefined =>
  nameOf.call(value) as string | undefined;

type TypedArrayClass = new (
  buffer: unknown,
  byteOffset: unknown,
  length: unknown,
) => ArrayLike<number | bigint>;

/**
 * Returns a view of the same elements, of this realm's own class. Null if the buffer is detached or has
 * become too small.
 */
export function plainTypedArray(value: object): ArrayLike<number | bigint> | null {
  try {
    // Throws for views of detached and shrunk buffers, whose length is 0 otherwise.
    keys.call(value as Uint8Array);
    const plainClass = (globalThis as unknown as Record<string, TypedArrayClass>)[typedArrayName(value)!]!;
    return new plainClass(bufferOf.call(value), byteOffsetOf.call(value), lengthOf.call(value));
  } catch {
    return null;
  }
}
