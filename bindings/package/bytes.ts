// Files on their way into WASM memory and out of it.
import type { CoreBytes, CoreModule } from './core';

/** A file's bytes in a module's memory for the length of a call. */
export function withBytes<R>(core: CoreModule, file: Uint8Array, use: (bytes: CoreBytes) => R): R {
  const bytes = core.Bytes.allocate(file.byteLength);
  try {
    bytes.view().set(file);
    return use(bytes);
  } finally {
    bytes.delete();
  }
}

/** The bytes that a module has written, as the caller's own. */
export function takeBytes(bytes: CoreBytes): Uint8Array {
  try {
    return bytes.view().slice();
  } finally {
    bytes.delete();
  }
}
