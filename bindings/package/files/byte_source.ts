// Sources of the bytes of one file.
import { messageOf, OutOfMemoryError, WeightsError } from '../errors';
import type { ReadControl } from './read_control';

export interface ByteSource {
  /** For messages: a URL, a path, or what the caller passed. */
  readonly name: string;
  /** Undefined if the server does not tell it. */
  readonly size: number | undefined;
  /** Reads a range of bytes. Throws an error of this package that names the source. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

/** Returns an array for bytes outside WASM memory. Throws OutOfMemoryError. */
export function allocateBytes(size: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch {
    throw new OutOfMemoryError(`${size} bytes of a file could not be allocated`);
  }
}

export const bytesSource = (name: string, bytes: Uint8Array): ByteSource => ({
  name,
  size: bytes.length,
  read: async (begin, end) => bytes.subarray(begin, end),
});

/** Bytes that are read at a time, so that the time limit applies to each part. */
const partBytes = 1 << 24;

/** A Blob or File, which may be on a disk. */
export const blobSource = (name: string, blob: Blob, control: ReadControl): ByteSource => ({
  name,
  size: blob.size,
  async read(begin, end) {
    const all = allocateBytes(end - begin);
    for (let at = begin; at < end; at += partBytes) {
      const readPart = async (): Promise<ArrayBuffer> =>
        blob.slice(at, Math.min(end, at + partBytes)).arrayBuffer();
      const bytes = await control.step(
        readPart(),
        () => `${name}: no answer`,
        (error) => {
          throw new WeightsError(`${name} could not be read: ${messageOf(error)}`);
        },
      );
      all.set(new Uint8Array(bytes), at - begin);
    }
    return all;
  },
});
