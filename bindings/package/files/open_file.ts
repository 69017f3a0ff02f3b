// Opens the sources of a WeightFile, and reads tensors from them.
import { checkArray, checkInteger, fail, read, readOptions, show, sizeOf } from '../checks';
import { decodeTensor } from '../decoding';
import {
  ArgumentError,
  CrossAttentionError,
  isInstance,
  messageOf,
  OutOfMemoryError,
  WeightsError,
} from '../errors';
import type { FileContent, OpenOptions } from '../file_content';
import { lastingBytes } from '../runtime';
import {
  checkUnique,
  type Header,
  headerEnd,
  lengthBytes,
  parseHeader,
  type StoredTensor,
} from '../safetensors';
import type { Tensor } from '../tensor';
import { blobSource, type ByteSource, bytesSource } from './byte_source';
import { joinRanges } from './coalesce';
import { isIndex, locate, type Location, neighbour, openLocation } from './locate';
import { mapFewAtATime, ReadControl } from './read_control';
import { parseIndex } from './shards';

const maxRank = 8;
/** The core addresses elements by 31 bits, of at most 8 bytes each. */
const maxElements = 2 ** 28 - 1;
const maxIndexBytes = 100_000_000;

interface Shard {
  source: ByteSource;
  header: Header;
}

/** True for a value of such a class, also of another realm. Never throws. */
function hasTag(value: unknown, ...tags: string[]): boolean {
  try {
    return tags.includes(Object.prototype.toString.call(value).slice(8, -1));
  } catch {
    return false;
  }
}

/** Adds the name of the source to the errors of its header. */
function named<T>(source: ByteSource, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof WeightsError) throw new WeightsError(`${source.name}: ${error.message}`);
    throw error;
  }
}

/** Returns the size of the file of which these are the first bytes; undefined if they are too few. */
function impliedSize(start: Uint8Array): number | undefined {
  if (start.length < lengthBytes) return undefined;
  const end = headerEnd(start, undefined);
  if (start.length < end) return undefined;
  const { tensors } = parseHeader(start.subarray(lengthBytes, end), undefined);
  return tensors.reduce((max, tensor) => Math.max(max, tensor.end), end);
}

class Opening {
  readonly control: ReadControl;
  readonly #fetch: typeof fetch;

  constructor(control: ReadControl, fetchFunction: typeof fetch) {
    this.control = control;
    this.#fetch = fetchFunction;
  }

  /** Opens one element of the argument: one shard, or those of an index. */
  async open(argument: string, source: unknown): Promise<Shard[]> {
    const bytes = lastingBytes(argument, source);
    if (bytes !== null) return [await this.#readHeader(bytesSource(argument, bytes))];
    if (hasTag(source, 'Blob', 'File')) {
      const { name } = source as File;
      const described = typeof name === 'string' && name !== '' ? name.slice(0, 300) : argument;
      return [await this.#readHeader(blobSource(described, source as Blob, this.control))];
    }
    if (typeof source !== 'string' && !hasTag(source, 'URL')) {
      fail(argument, source, 'a URL, a path, a Blob, bytes, or an array of these');
    }
    const location = locate(argument, source as string | URL);
    return isIndex(location) ? this.#openIndex(location) : [await this.#openShard(location)];
  }

  async #openShard(location: Location): Promise<Shard> {
    return this.#readHeader(await openLocation(location, this.#fetch, this.control, impliedSize));
  }

  async #openIndex(location: Location): Promise<Shard[]> {
    const tooLarge = (name: string): never => {
      throw new WeightsError(`${name} is not an index of shards: it has more than ${maxIndexBytes} bytes`);
    };
    let name = '';
    const limit = (start: Uint8Array): undefined => {
      if (start.length > maxIndexBytes) tooLarge(name);
    };
    const source = await openLocation(location, this.#fetch, this.control, limit);
    name = source.name;
    if ((source.size ?? 0) > maxIndexBytes) tooLarge(name);
    const bytes = await (source.readAll?.() ?? source.read(0, source.size!));
    const { shards, owners } = parseIndex(name, bytes);
    const opened = await mapFewAtATime(shards, (shard) => this.#openShard(neighbour(location, shard)));
    const names = opened.map(({ header }) => new Set(header.tensors.map((tensor) => tensor.name)));
    for (const [tensor, shard] of owners) {
      if (!names[shards.indexOf(shard)]!.has(tensor)) {
        throw new WeightsError(`${name} has tensor ${show(tensor)} in shard ${show(shard)}, which lacks it`);
      }
    }
    return opened;
  }

  async #readHeader(source: ByteSource): Promise<Shard> {
    this.control.check();
    // Two exact reads: a longer first one would read too many bytes, and headers of models are longer anyway.
    const start = await source.read(0, Math.min(lengthBytes, source.size ?? lengthBytes));
    const end = named(source, () => headerEnd(start, source.size));
    const json = await source.read(lengthBytes, end);
    return { source, header: named(source, () => parseHeader(json, source.size)) };
  }
}

class OpenContent implements FileContent {
  readonly tensors: readonly StoredTensor[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly #sources: ReadonlyMap<StoredTensor, ByteSource>;
  readonly #control: ReadControl;

  constructor(shards: readonly Shard[], control: ReadControl) {
    this.#control = control;
    this.tensors = shards.flatMap(({ header }) => header.tensors);
    this.#sources = new Map(
      shards.flatMap(({ source, header }) => header.tensors.map((tensor) => [tensor, source] as const)),
    );
    const metadata: Record<string, string> = Object.create(null);
    for (const { header } of [...shards].reverse()) Object.assign(metadata, header.metadata);
    this.metadata = Object.freeze(metadata);
  }

  async readBytes(tensors: readonly StoredTensor[]): Promise<Uint8Array[]> {
    this.#control.check();
    const sources = new Set(tensors.map((tensor) => this.#sources.get(tensor)!));
    const reads = [...sources].flatMap((source) =>
      joinRanges(tensors.filter((tensor) => this.#sources.get(tensor) === source)).map((range) => ({
        source,
        range,
      })),
    );
    const bytes = new Map<StoredTensor, Uint8Array>();
    await mapFewAtATime(reads, async ({ source, range: { begin, end, parts } }) => {
      const all = await source.read(begin, end);
      if (all.length !== end - begin) {
        throw new WeightsError(`${source.name} ended after ${begin + all.length} bytes; expected ${end}`);
      }
      for (const part of parts) bytes.set(part, all.subarray(part.begin - begin, part.end - begin));
    });
    this.#control.check();
    return tensors.map((tensor) => bytes.get(tensor)!);
  }

  async readTensor(tensor: StoredTensor): Promise<Tensor> {
    const { name, shape, type } = tensor;
    if (
      shape.length > maxRank ||
      sizeOf(shape) > maxElements ||
      !/^(F64|F32|F16|BF16|F8_E[45]M[23]|[IU]\d+|BOOL)$/.test(type)
    ) {
      throw new WeightsError(
        `tensor ${show(name)} has dtype ${type} and shape ${show(shape)}; expected a type that converts ` +
          `to float32, at most ${maxRank} dimensions and ${maxElements} elements`,
      );
    }
    const [bytes] = await this.readBytes([tensor]);
    return decodeTensor({ name, type, shape, bytes: bytes! }, type === 'F64' ? 'float64' : 'float32');
  }

  close(): void {
    this.#control.stop();
  }
}

function checkOpenOptions(options: OpenOptions | undefined): [ReadControl, typeof fetch] {
  const {
    signal,
    fetch: fetchFunction,
    timeout = 30_000,
  } = readOptions('options', options, ['signal', 'fetch', 'timeout']);
  const isSignal = read(
    'options.signal',
    () =>
      typeof signal === 'object' &&
      typeof signal?.aborted === 'boolean' &&
      typeof signal.addEventListener === 'function',
  );
  if ((signal ?? undefined) !== undefined && !isSignal) fail('options.signal', signal, 'an AbortSignal');
  if ((fetchFunction ?? undefined) !== undefined && typeof fetchFunction !== 'function') {
    fail('options.fetch', fetchFunction, 'a function');
  }
  checkInteger('options.timeout', timeout, 1, 2 ** 31 - 1);
  const control = read('options.signal', () => new ReadControl(signal ?? undefined, timeout));
  return [control, fetchFunction ?? globalThis.fetch];
}

/** See WeightFile.open. */
export async function openFile(source: unknown, options: OpenOptions | undefined): Promise<FileContent> {
  const [control, fetchFunction] = checkOpenOptions(options);
  try {
    control.check();
    const opening = new Opening(control, fetchFunction);
    const parts: [string, unknown][] = read('source', () => Array.isArray(source))
      ? checkArray('source', source, 'an array of shards').map((part, index) => [`source[${index}]`, part])
      : [['source', source]];
    if (parts.length === 0) fail('source', source, 'at least one shard');
    const shards = (await mapFewAtATime(parts, ([argument, part]) => opening.open(argument, part))).flat();
    checkUnique(shards.map(({ header }) => header.tensors));
    return new OpenContent(shards, control);
  } catch (error) {
    control.stop();
    if (isInstance(error, CrossAttentionError)) throw error;
    if (isInstance(error, RangeError)) throw new OutOfMemoryError(error.message);
    throw new ArgumentError(`source cannot be read: ${messageOf(error)}`);
  }
}
