// Files as bytes: of the caller, and copies to and from WASM memory.
import { copyToWasm } from './copy_to_wasm';
import type { CoreBytes, CoreModule } from './core';
import { ArgumentError } from './errors';

const lengthOf = (prototype: object): (() => number) =>
  Object.getOwnPropertyDescriptor(prototype, 'byteLength')!.get!;
const bufferLengths = [
  lengthOf(ArrayBuffer.prototype),
  ...(typeof SharedArrayBuffer === 'function' ? [lengthOf(SharedArrayBuffer.prototype)] : []),
];

/** True for an ArrayBuffer or SharedArrayBuffer, also of another realm: it has the internal length. */
function isBuffer(value: unknown): value is ArrayBufferLike {
  // V8's error would contain a whole string.
  if (typeof value !== 'object') return false;
  return bufferLengths.some((length) => {
    try {
      length.call(value);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Returns a view of the bytes of a buffer or of any view of one; null for other values. Throws ArgumentError
 * for a detached buffer.
 */
export function viewBytes(argument: string, value: unknown): Uint8Array | null {
  const isView = ArrayBuffer.isView(value);
  if (!isView && !isBuffer(value)) return null;
  try {
    return isView ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
  } catch {
    throw new ArgumentError(`${argument} is a detached or invalid buffer; expected bytes`);
  }
}

/** Calls `use` with a copy of a file in a module's memory, which is freed afterwards. */
export function withBytes<R>(core: CoreModule, file: Uint8Array, use: (bytes: CoreBytes) => R): R {
  const bytes = copyToWasm('file', file, () => core.Bytes.allocate(file.byteLength));
  try {
    return use(bytes);
  } finally {
    bytes.delete();
  }
}

/** Returns a copy of bytes that a module wrote, and frees the module's. */
export function takeBytes(bytes: CoreBytes): Uint8Array {
  try {
    return bytes.view().slice();
  } finally {
    bytes.delete();
  }
}
