// The header of a safetensors file: which tensors it has, and where their bytes are. Only the header is
// copied to WASM memory, where the core parses it.
import { withBytes } from './bytes';
import { checkArray, read, show } from './checks';
import { WeightsError } from './errors';
import { getCore, lastingBytes } from './runtime';

/** A tensor of a file. */
export interface StoredTensor {
  readonly name: string;
  /** As in the header: 'F32', 'F16', 'F8_E4M3', … */
  readonly type: string;
  readonly shape: readonly number[];
  /** The position of its bytes in the file. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly tensors: StoredTensor[];
  readonly metadata: Record<string, string>;
}

/** A file starts with the length of its header, a little-endian integer of 8 bytes. */
export const lengthBytes = 8;
/** The limit of the reference implementation. */
const maxHeaderBytes = 100_000_000;

/**
 * Returns the number of bytes of the header with its length. `start`: the first 8 bytes of a file of `size`
 * bytes, undefined if unknown.
 */
export function headerEnd(start: Uint8Array, size: number | undefined): number {
  if (start.length < lengthBytes) {
    throw new WeightsError(
      `the file is not a safetensors file: it has ${start.length} bytes; ` +
        'expected at least 8 for the header length',
    );
  }
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  const end = Number(length) + lengthBytes;
  if (length > maxHeaderBytes || end > (size ?? end)) {
    throw new WeightsError(
      `the file is not a safetensors file: its header length is ${length}; ` +
        `the file has ${size ?? 'unknown'} bytes`,
    );
  }
  return end;
}

/** Parses a header. `json`: its bytes without the length. Throws WeightsError if it is invalid. */
export function parseHeader(json: Uint8Array, size: number | undefined): Header {
  const core = getCore();
  const begin = lengthBytes + json.length;
  const [names, types, numbers, pairs] = withBytes(core, json, (bytes) =>
    core.readHeader(bytes, size === undefined ? -1 : size - begin),
  );
  let at = 0;
  const tensors = names.map((name, index) => {
    const rank = numbers[at + 2]!;
    const tensor: StoredTensor = {
      name,
      type: types[index]!,
      shape: Object.freeze(numbers.slice(at + 3, at + 3 + rank)),
      begin: begin + numbers[at]!,
      end: begin + numbers[at + 1]!,
    };
    at += 3 + rank;
    return tensor;
  });
  // Without a prototype: '__proto__' is a name like any other.
  const metadata: Record<string, string> = Object.create(null);
  for (let index = 0; index < pairs.length; index += 2) metadata[pairs[index]!] = pairs[index + 1]!;
  return { tensors, metadata: Object.freeze(metadata) };
}

/** A tensor and its bytes, which are not copied. */
export interface TensorBytes extends StoredTensor {
  readonly bytes: Uint8Array;
}

/** Reads a file in memory. */
export function readFile(file: Uint8Array): { tensors: TensorBytes[]; metadata: Header['metadata'] } {
  const end = headerEnd(file.subarray(0, lengthBytes), file.length);
  const { tensors, metadata } = parseHeader(file.subarray(lengthBytes, end), file.length);
  const bytesOf = ({ begin, end: last }: StoredTensor): Uint8Array => file.subarray(begin, last);
  return { tensors: tensors.map((tensor) => ({ ...tensor, bytes: bytesOf(tensor) })), metadata };
}

/** Throws WeightsError if two shards of a file have a tensor of the same name. */
export function checkUnique(shards: readonly (readonly StoredTensor[])[]): void {
  const owners = new Map<string, number>();
  shards.forEach((tensors, shard) => {
    for (const { name } of tensors) {
      const owner = owners.get(name);
      if (owner !== undefined) {
        throw new WeightsError(
          `shards ${owner} and ${shard} both have the tensor ${show(name)}; expected one`,
        );
      }
      owners.set(name, shard);
    }
  });
}

/**
 * Returns the tensors of a file in memory, or of an array of its shards; null if `weights` is neither. Throws
 * ArgumentError for an array with other elements.
 */
export function tensorsInMemory(weights: unknown): TensorBytes[] | null {
  const single = lastingBytes('weights', weights);
  if (single !== null) return readFile(single).tensors;
  if (!read('weights', () => Array.isArray(weights))) return null;
  const shards = checkArray('weights', weights, 'an array of shards');
  if (shards.length === 0) return null;
  const files = shards.map((shard, index) => lastingBytes(`weights[${index}]`, shard));
  if (files.includes(null)) return null;
  const tensors = files.map((file) => readFile(file!).tensors);
  checkUnique(tensors);
  return tensors.flat();
}
