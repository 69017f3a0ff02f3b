/**
 * Reads and writes safetensors files: eight bytes with the length of a JSON header, the header (name → dtype,
 * shape, offsets) and the tensors' bytes. The package reads and writes its own weights. This file adds
 * further tensors to such a file and reads them back. Files that are read are untrusted.
 */
export type TensorType = 'F32' | 'U8';

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface SafetensorsFile {
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Record<string, string>;
}

/** The file is invalid. Pages show the message to visitors after the name of the file. */
export class SafetensorsError extends Error {}

const lengthBytes = 8;
const metadataKey = '__metadata__';
/** Far above any header that this site writes, and small enough to parse safely. */
const maxHeaderBytes = 1 << 20;

/** Parses a file; its tensors are views of `file`. Throws a SafetensorsError if the file is invalid. */
export function readSafetensors(file: Uint8Array): SafetensorsFile {
  if (file.byteLength < lengthBytes) {
    throw new SafetensorsError(
      `the file has ${file.byteLength} bytes; expected at least ${lengthBytes} for the length of the header`,
    );
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  if (headerLength > Math.min(maxHeaderBytes, file.byteLength - lengthBytes)) {
    throw new SafetensorsError(
      `the header has ${headerLength} bytes; expected at most ${maxHeaderBytes} and the rest of the file`,
    );
  }
  const header = parseHeader(file.subarray(lengthBytes, lengthBytes + headerLength));
  const data = file.subarray(lengthBytes + headerLength);

  const tensors = new Map<string, StoredTensor>();
  const metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (!isRecord(entry)) throw new SafetensorsError(`the header's entry "${name}" is not an object`);
    if (name === metadataKey) {
      for (const [key, value] of Object.entries(entry)) metadata[key] = String(value);
    } else {
      tensors.set(name, readEntry(name, entry, data));
    }
  }
  return { tensors, metadata };
}

/** Returns the bytes of a file with these tensors and metadata. */
export function writeSafetensors(file: SafetensorsFile): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { [metadataKey]: file.metadata };
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of file.tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.byteLength] };
    end += bytes.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Spaces after the header align the tensors to eight bytes.
  const headerLength = Math.ceil(json.byteLength / 8) * 8;

  const result = new Uint8Array(lengthBytes + headerLength + end).fill(
    0x20,
    lengthBytes,
    lengthBytes + headerLength,
  );
  new DataView(result.buffer).setBigUint64(0, BigInt(headerLength), true);
  result.set(json, lengthBytes);
  let offset = lengthBytes + headerLength;
  for (const { bytes } of file.tensors.values()) {
    result.set(bytes, offset);
    offset += bytes.byteLength;
  }
  return result;
}

/** Returns float values as a tensor that writeSafetensors accepts; shares their memory. */
export function floatTensor(values: Float32Array, shape: readonly number[]): StoredTensor {
  return { dtype: 'F32', shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** Returns the values of a float32 tensor. Throws if missing, of another type or rank, or not finite. */
export function readFloats(
  file: SafetensorsFile,
  name: string,
  rank: number,
): { values: Float32Array; shape: readonly number[] } {
  const { bytes, shape } = readTensor(file, name, 'F32', rank);
  // A copy, because the offset of the bytes may not be a multiple of four.
  const values = new Float32Array(bytes.slice().buffer);
  if (!values.every(Number.isFinite))
    throw new SafetensorsError(`the tensor "${name}" has values that are not finite`);
  return { values, shape };
}

/** Returns a tensor of a file. Throws if it is missing or has another type or rank. */
export function readTensor(
  file: SafetensorsFile,
  name: string,
  dtype: TensorType,
  rank: number,
): StoredTensor {
  const tensor = file.tensors.get(name);
  if (!tensor) throw new SafetensorsError(`the tensor "${name}" is missing`);
  if (tensor.dtype !== dtype || tensor.shape.length !== rank) {
    throw new SafetensorsError(
      `the tensor "${name}" is ${tensor.dtype} of rank ${tensor.shape.length}; ` +
        `expected ${dtype} of rank ${rank}`,
    );
  }
  return tensor;
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new SafetensorsError('the header is not valid JSON');
  }
  if (!isRecord(header)) throw new SafetensorsError('the header is not a JSON object');
  return header;
}

function readEntry(name: string, entry: Record<string, unknown>, data: Uint8Array): StoredTensor {
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(`the header's entry "${name}" has no valid dtype, shape and data_offsets`);
  }
  const [start, end] = offsets as [number, number];
  if (start > end || end > data.byteLength)
    throw new SafetensorsError(`the data_offsets of the tensor "${name}" are outside the file`);
  const size = shape.reduce((product, length) => product * length, 1);
  const width = { F32: 4, U8: 1 }[dtype];
  if (width !== undefined && size * width !== end - start) {
    throw new SafetensorsError(
      `the tensor "${name}" has ${end - start} bytes; expected ${size * width} for its shape`,
    );
  }
  return { dtype, shape, bytes: data.subarray(start, end) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
}
