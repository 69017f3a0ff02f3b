// Copies of the caller's numbers to WASM memory.
import type { CoreHandle } from './core';
import { ArgumentError, messageOf } from './errors';

/** A typed array of numbers, not of bigints. */
export type NumberArray = Float32Array | Float64Array | Uint8Array;

/**
 * Returns the object that `allocate` creates, with the elements of `source`. Frees it if they cannot be
 * copied.
 */
export function copyToWasm<H extends CoreHandle & { view(): NumberArray }>(
  argument: string,
  source: NumberArray,
  allocate: () => H,
): H {
  const { byteLength, byteOffset } = source;
  const handle = allocate();
  try {
    const target = handle.view();
    // Allocation may have grown the memory, which detaches all views of it: `source` was a view, and its
    // bytes are at the same offset of the new buffer.
    const isDetached = source.byteLength !== byteLength;
    target.set(isDetached ? viewAgain(source, target.buffer, byteOffset, byteLength) : source);
    return handle;
  } catch (error) {
    handle.delete();
    throw new ArgumentError(`${argument} cannot be copied: ${messageOf(error)}`);
  }
}

function viewAgain(
  { [Symbol.toStringTag]: type, BYTES_PER_ELEMENT: elementBytes }: NumberArray,
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength: number,
): NumberArray {
  // By the type's name: the caller's class may have another constructor.
  const typedArray = (globalThis as unknown as Record<string, typeof Float32Array>)[type]!;
  return new typedArray(buffer, byteOffset, byteLength / elementBytes);
}
