/**
 * The safetensors container, as far as the site needs it: eight bytes that tell the length of a JSON header, the
 * header (name → dtype, shape, place), then the numbers. The package reads and writes its own weights; this adds
 * tensors of ours to such a file, and finds them again in a file that anybody may have put together.
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

/** The file is not what it claims to be; the message is fit for a visitor's eyes. */
export class SafetensorsError extends Error {}

const LENGTH_BYTES = 8;
const METADATA_KEY = '__metadata__';
/** More than any header of ours by far, and less than could hurt to parse. */
const LARGEST_HEADER = 1 << 20;

export function readSafetensors(file: Uint8Array): SafetensorsFile {
  if (file.byteLength < LENGTH_BYTES) throw new SafetensorsError('the file is too short');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  if (headerLength > Math.min(LARGEST_HEADER, file.byteLength - LENGTH_BYTES)) {
    throw new SafetensorsError('its header does not fit into the file');
  }
  const header = parseHeader(file.subarray(LENGTH_BYTES, LENGTH_BYTES + headerLength));
  const data = file.subarray(LENGTH_BYTES + headerLength);

  const tensors = new Map<string, StoredTensor>();
  const metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (!isRecord(entry)) throw new SafetensorsError(`the entry "${name}" is not an object`);
    if (name === METADATA_KEY) {
      for (const [key, value] of Object.entries(entry)) metadata[key] = String(value);
    } else {
      tensors.set(name, readEntry(name, entry, data));
    }
  }
  return { tensors, metadata };
}

export function writeSafetensors(file: SafetensorsFile): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { [METADATA_KEY]: file.metadata };
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of file.tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.byteLength] };
    end += bytes.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Padding the header with blanks keeps the numbers behind it aligned to eight bytes.
  const headerLength = Math.ceil(json.byteLength / 8) * 8;

  const result = new Uint8Array(LENGTH_BYTES + headerLength + end).fill(
    0x20,
    LENGTH_BYTES,
    LENGTH_BYTES + headerLength,
  );
  new DataView(result.buffer).setBigUint64(0, BigInt(headerLength), true);
  result.set(json, LENGTH_BYTES);
  let place = LENGTH_BYTES + headerLength;
  for (const { bytes } of file.tensors.values()) {
    result.set(bytes, place);
    place += bytes.byteLength;
  }
  return result;
}

export function storeFloats(values: Float32Array, shape: readonly number[]): StoredTensor {
  return { dtype: 'F32', shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** The numbers of a float tensor; an error that names it where the file holds something else there. */
export function takeFloats(
  file: SafetensorsFile,
  name: string,
  rank: number,
): { values: Float32Array; shape: readonly number[] } {
  const { bytes, shape } = takeTensor(file, name, 'F32', rank);
  // A copy: the bytes need not lie at a multiple of four.
  const values = new Float32Array(bytes.slice().buffer);
  if (!values.every(Number.isFinite))
    throw new SafetensorsError(`its tensor "${name}" holds numbers that are not finite`);
  return { values, shape };
}

export function takeTensor(
  file: SafetensorsFile,
  name: string,
  dtype: TensorType,
  rank: number,
): StoredTensor {
  const tensor = file.tensors.get(name);
  if (!tensor) throw new SafetensorsError(`it holds no tensor "${name}"`);
  if (tensor.dtype !== dtype || tensor.shape.length !== rank) {
    throw new SafetensorsError(
      `its tensor "${name}" is ${tensor.dtype} of rank ${tensor.shape.length}, not ${dtype} of rank ${rank}`,
    );
  }
  return tensor;
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new SafetensorsError('its header is not readable');
  }
  if (!isRecord(header)) throw new SafetensorsError('its header is not an object');
  return header;
}

function readEntry(name: string, entry: Record<string, unknown>, data: Uint8Array): StoredTensor {
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(`the entry "${name}" is incomplete`);
  }
  const [start, end] = offsets as [number, number];
  if (start > end || end > data.byteLength)
    throw new SafetensorsError(`the tensor "${name}" lies outside the file`);
  const size = shape.reduce((product, length) => product * length, 1);
  const width = { F32: 4, U8: 1 }[dtype];
  if (width !== undefined && size * width !== end - start) {
    throw new SafetensorsError(
      `the tensor "${name}" has ${end - start} bytes, its shape asks for ${size * width}`,
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
