// Values that no caller should pass, by name, so that a failure can be read and repeated. Each function makes
// a new one. `targets`: what getters of the values dispose.
import { createContext, runInContext } from 'node:vm';

export class CallbackError extends Error {}

const realm = createContext({});
/** Returns the value of an expression in another realm. */
const elsewhere = (code) => runInContext(`(${code})`, realm);

// Made once. String.repeat returns a rope, and its first use costs more than most calls.
const hugeString = Buffer.alloc(2 ** 24, 'x').toString('latin1');
const longString = Buffer.alloc(2 ** 16, 'x').toString('latin1');
const hugeBigint = 1n << 4_000_000n;
const manyStrings = Object.freeze(Array.from({ length: 70_000 }, () => 'to_q.weight'));

const dense = (length, value) => Array.from({ length }, () => value);

/** An array of 2 ** 40 elements in all, of 40 objects. */
function deeplyShared() {
  let array = [1];
  for (let depth = 0; depth < 40; ++depth) array = [array, array];
  return array;
}

function cyclic() {
  const array = [1];
  array.push(array);
  return array;
}

function detached(type) {
  const view = new type(4);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

/** A view that lies outside its buffer, which has been made smaller. */
function shrunk() {
  const buffer = new ArrayBuffer(32, { maxByteLength: 64 });
  const view = new Float32Array(buffer, 0, 8);
  buffer.resize(8);
  return view;
}

/** An object that toString shows as one of a class of the platform. */
const tagged = (tag, members = {}) => ({ [Symbol.toStringTag]: tag, ...members });

function revoked() {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}

const throwing = () => {
  throw new Error('hostile');
};
const throwingTraps = {
  ...Object.fromEntries(
    Reflect.ownKeys(Reflect)
      .filter((name) => typeof name === 'string')
      .map((name) => [name, throwing]),
  ),
  apply: () => {
    throw new CallbackError('callback');
  },
};

/** A getter that is called for any name. */
const withGetter = (target, get) => new Proxy(target, { get: (...values) => get(...values) });

export const primitives = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  NaN: () => NaN,
  Infinity: () => Infinity,
  minusOne: () => -1,
  minusZero: () => -0,
  half: () => 0.5,
  two: () => 2,
  large: () => 2 ** 31,
  unsafe: () => 2 ** 60,
  bigint: () => 3n,
  hugeBigint: () => hugeBigint,
  emptyString: () => '',
  string: () => 'to_q.weight',
  surrogate: () => '\ud800',
  hugeString: () => hugeString,
  symbol: () => Symbol('hostile'),
  hugeSymbol: () => Symbol('x'.repeat(2 ** 20)),
};

export const objects = {
  nullPrototype: () => Object.create(null),
  empty: () => ({}),
  emptyArray: () => [],
  zeros: () => [0, 0, 0],
  cyclic,
  deeplyShared,
  sparse: () => {
    const array = [1];
    array.length = 2 ** 32 - 1;
    return array;
  },
  strings: () => dense(3, longString),
  manyStrings: () => manyStrings,
  escapes: () => dense(8, dense(8, dense(8, '\u0000'.repeat(200)))),
  lengthOnly: () => ({ length: 2 ** 30 }),
  lengthInfinite: () => ({ length: Infinity }),
  lengthNegative: () => ({ length: -1 }),
  lengthObject: () => ({ length: { valueOf: throwing } }),
  infiniteIterator: () => ({
    *[Symbol.iterator]() {
      yield* [1, 2, 3];
      throw new Error('hostile');
    },
  }),
  iteratingArray: () => Object.assign([1, 2], { [Symbol.iterator]: throwing }),
  arrayWithMethods: () =>
    Object.assign([1, 2], { map: throwing, slice: throwing, forEach: throwing, length: 2 }),
  floats: () => new Float32Array(6),
  doubles: () => new Float64Array(6),
  bytes: () => new Uint8Array(16),
  bigints: () => new BigInt64Array(3),
  sharedBytes: () => new Uint8Array(new SharedArrayBuffer(16)),
  detachedFloats: () => detached(Float32Array),
  detachedBytes: () => detached(Uint8Array),
  buffer: () => new ArrayBuffer(16),
  resizableBuffer: () => new ArrayBuffer(8, { maxByteLength: 16 }),
  resizableFloats: () => new Float32Array(new ArrayBuffer(24, { maxByteLength: 64 })),
  shrunkFloats: shrunk,
  booleans: () => [true, false, true],
  mixed: () => [1, true, 2n],
  halves: () => new Uint16Array(6),
  sharedBuffer: () => new SharedArrayBuffer(16),
  dataView: () => new DataView(new ArrayBuffer(8)),
  foreignArray: () => elsewhere('[2, 3]'),
  foreignFloats: () => elsewhere('new Float32Array(6)'),
  foreignBuffer: () => elsewhere('new ArrayBuffer(16)'),
  foreignMap: () => elsewhere('new Map([[1, 2]])'),
  foreignProxy: () => elsewhere('new Proxy([], { get() { throw new Error("hostile"); } })'),
  foreignError: () => elsewhere('new Error("foreign")'),
  date: () => new Date(NaN),
  map: () => new Map([[{}, 1]]),
  set: () => new Set([1]),
  promise: () => Promise.resolve(1),
  rejected: () => {
    const promise = Promise.reject(new Error('hostile'));
    promise.catch(() => {});
    return promise;
  },
  thenable: () => ({ then: throwing }),
  error: () => Object.assign(new Error('hostile'), { code: 7 }),
  revoked,
  throwingProxy: () => new Proxy({}, throwingTraps),
  throwingArray: () => new Proxy([1, 2], { ...throwingTraps }),
  throwingFunction: () => new Proxy(() => {}, throwingTraps),
  throwsNoError: () => withGetter({}, () => { throw Object.create(null); }), // prettier-ignore
  throwsProxy: () => withGetter({}, () => { throw new Proxy({}, throwingTraps); }), // prettier-ignore
  toPrimitive: () => ({ [Symbol.toPrimitive]: throwing, toString: throwing, valueOf: throwing }),
  oddConstructor: () => ({ constructor: { name: deeplyShared() } }),
  hugeConstructor: () => ({ constructor: { name: hugeString } }),
  tensorLike: () => ({ shape: [2], dtype: 'float32', size: 2, constructor: { name: 'Tensor' } }),
  function: () => () => 'to_q.weight',
  callback: () => () => {
    throw new CallbackError('callback');
  },
  oddCallback: () => () => Symbol('hostile'),
  asyncFunction: () => async () => {},
  class: () => class Hostile {},
  signal: () => AbortSignal.abort(),
  global: () => globalThis,
  blob: () => new Blob([new Uint8Array(16)]),
  url: () => new URL('data:,text'),
  fakeBlob: () => tagged('Blob', { size: 8, slice: throwing }),
  fakeUrl: () => tagged('URL', { toString: () => 'x'.repeat(2 ** 20) }),
  fakeRegExp: () => tagged('RegExp', { source: 1, flags: throwing }),
  fakeModule: () => tagged('WebAssembly.Module'),
  fakeSignal: () => ({ aborted: false, addEventListener: throwing }),
  fakeFetch: () => async () => ({ status: 200, headers: { get: throwing }, body: null }),
  fakeDevice: () => ({ createBuffer: throwing }),
};

/** Values that act on objects of the package. `live` lists those objects, `act` uses the package. */
export const actors = {
  disposing: ({ live }) => withGetter({}, () => live.forEach((object) => object.dispose?.())),
  disposingArray: ({ live }) =>
    withGetter([1, 2], (target, name) => {
      if (name === '1') live.forEach((object) => object.dispose?.());
      return Reflect.get(target, name);
    }),
  callingBack: ({ act }) => withGetter({}, () => void act()),
  proxyOfOne: ({ live, pick }) => new Proxy(live[pick % live.length] ?? {}, {}),
  prototypeOfOne: ({ live, pick }) => Object.create(Object.getPrototypeOf(live[pick % live.length] ?? {})),
  heirOfOne: ({ live, pick }) => Object.create(live[pick % live.length] ?? {}),
  disposed: ({ live, pick }) => {
    const object = live[pick % live.length];
    object?.dispose?.();
    return object;
  },
  another: ({ live, pick }) => live[pick % live.length],
};

export const hostileNames = [...Object.keys(primitives), ...Object.keys(objects), ...Object.keys(actors)];

/** Makes the value of a name. */
export function makeHostile(name, context) {
  return (primitives[name] ?? objects[name] ?? actors[name])(context);
}
