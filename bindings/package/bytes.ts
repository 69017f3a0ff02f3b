// Copies of files to and from WASM memory.
import { copyToWasm } from './copy_to_wasm';
import type { CoreBytes, CoreModule } from './core';

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
