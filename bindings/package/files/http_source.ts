// A file behind a URL, read by HTTP Range requests (RFC 9110, section 14). If the server ignores them, the
// first answer is the whole file, which is then stored as a Blob.
import { CrossAttentionError, isInstance, messageOf, WeightsError } from '../errors';
import { allocateBytes, blobSource, type ByteSource } from './byte_source';
import type { ReadControl } from './read_control';

/** Given the first bytes of a file, returns the size that its header implies, if they are enough. */
export type ImpliedSize = (start: Uint8Array) => number | undefined;

/** What identifies the version of a file. Two answers with different ones are of different files. */
interface Version {
  tag: string | null;
  modified: string | null;
  size: number | undefined;
}

const isCompressed = (headers: Headers): boolean =>
  (headers.get('content-encoding') ?? 'identity') !== 'identity';

function sizeOf(headers: Headers): number | undefined {
  const length = headers.get('content-length');
  return length === null || isCompressed(headers) ? undefined : Number(length);
}

const versionOf = (headers: Headers, size: number | undefined): Version => ({
  tag: headers.get('etag')?.replace(/^W\//, '') ?? null,
  modified: headers.get('last-modified'),
  size,
});

/** Returns a URL for messages: without user, password and query, which may contain secrets. */
export function describeUrl(url: URL): string {
  const text = url.host === '' ? url.href : `${url.protocol}//${url.host}${url.pathname}`;
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

const flushBytes = 1 << 26;

export class HttpSource implements ByteSource {
  readonly name: string;
  size: number | undefined;
  readonly #url: URL;
  readonly #fetch: typeof fetch;
  readonly #control: ReadControl;
  readonly #impliedSize: ImpliedSize;
  #version: Version | null = null;
  #whole: Promise<ByteSource> | null = null;

  constructor(url: URL, fetchFunction: typeof fetch, control: ReadControl, impliedSize: ImpliedSize) {
    this.#url = url;
    this.name = describeUrl(url);
    this.#fetch = fetchFunction;
    this.#control = control;
    this.#impliedSize = impliedSize;
  }

  async read(begin: number, end: number): Promise<Uint8Array> {
    if (begin === end) return new Uint8Array(0);
    if (this.#whole === null) {
      const bytes = await this.#request(begin, end);
      if (bytes !== null) return bytes;
    }
    return (await this.#whole!).read(begin, Math.min(end, this.size!));
  }

  /** Downloads the whole file at once. */
  async readAll(): Promise<Uint8Array> {
    const whole = await this.#saveWhole(() => this.#downloadAgain());
    return whole.read(0, whole.size!);
  }

  /** Returns the bytes, or null if the answer is the whole file: then #whole is set. */
  async #request(begin: number, end: number): Promise<Uint8Array | null> {
    const range = `bytes=${begin}-${end - 1}`;
    return this.#connect({ Range: range }, async (response, stop) => {
      const { status, headers } = response;
      if (status === 416) return this.#beyondEnd(headers, begin);
      if (status === 206 && isCompressed(headers)) {
        // The range is one of the compressed bytes, which are of no use.
        stop();
        await this.#saveWhole(() => this.#downloadAgain());
        return null;
      }
      if (status !== 206) {
        await this.#saveWhole(() => this.#download(response, stop));
        return null;
      }
      const expected = this.#checkRange(headers, begin, end);
      const bytes = allocateBytes(expected);
      let received = 0;
      await this.#forChunks(response, expected, (chunk) => {
        if (received + chunk.length > expected) this.#fail(`sent more than the requested ${expected} bytes`);
        bytes.set(chunk, received);
        received += chunk.length;
      });
      return bytes;
    });
  }

  #downloadAgain(): Promise<ByteSource> {
    return this.#connect({}, (response, stop) => this.#download(response, stop));
  }

  /** Starts the download of the whole file unless there is one. After an error, a later read tries again. */
  async #saveWhole(download: () => Promise<ByteSource>): Promise<ByteSource> {
    this.#whole ??= download();
    try {
      return await this.#whole;
    } catch (error) {
      this.#whole = null;
      throw error;
    }
  }

  /** The whole file is shorter than the range: returns no bytes, as the end of a file does. */
  #beyondEnd(headers: Headers, begin: number): Uint8Array {
    const total = /^bytes \*\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
    if (begin > 0) this.#fail(`has no byte ${begin}; it has ${total ?? 'fewer'} bytes`);
    this.size = 0;
    return new Uint8Array(0);
  }

  /** Returns the number of bytes of the answer: less than requested only at the end of the file. */
  #checkRange(headers: Headers, begin: number, end: number): number {
    const header = headers.get('content-range');
    // A server of another origin may hide this header.
    if (header === null) {
      this.#checkVersion(versionOf(headers, undefined));
      return end - begin;
    }
    const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header);
    const size = match === null || match[3] === '*' ? undefined : Number(match[3]);
    const last = Math.min(end, size ?? end) - 1;
    if (match === null || Number(match[1]) !== begin || Number(match[2]) !== last || last < begin) {
      this.#fail(`answered a request for bytes ${begin}-${end - 1} with '${header.slice(0, 100)}'`);
    }
    this.#checkVersion(versionOf(headers, size));
    this.size ??= size;
    return last + 1 - begin;
  }

  #checkVersion(version: Version): void {
    const first = (this.#version ??= version);
    const differ = <T>(one: T | null | undefined, other: T | null | undefined): boolean =>
      (one ?? null) !== null && (other ?? null) !== null && one !== other;
    const hasTags = first.tag !== null && version.tag !== null;
    const hasChanged =
      differ(first.size, version.size) ||
      (hasTags ? first.tag !== version.tag : differ(first.modified, version.modified));
    if (hasChanged) this.#fail('has changed since it was opened; open it again');
  }

  /** Reads an answer that is the whole file. */
  async #download(response: Response, stop: () => void): Promise<ByteSource> {
    if (response.status !== 200) this.#fail(`answered with status ${response.status}; expected 200 or 206`);
    const length = sizeOf(response.headers);
    this.#checkVersion(versionOf(response.headers, length));
    let blob = new Blob([]);
    let chunks: Uint8Array<ArrayBuffer>[] = [];
    let pending = 0;
    let start: Uint8Array | null = new Uint8Array(0);
    let implied: number | undefined;
    await this.#forChunks(response, length, (chunk, received) => {
      if (start !== null) {
        const longer: Uint8Array = allocateBytes(start.length + chunk.length);
        longer.set(start);
        longer.set(chunk, start.length);
        start = longer;
        try {
          implied = this.#impliedSize(start);
        } catch (error) {
          stop();
          this.#fail(messageOf(error), ': ');
        }
        if (implied !== undefined) start = null;
      }
      if (implied !== undefined && received > implied) {
        stop();
        this.#fail(`has more than the ${implied} bytes that its header describes`);
      }
      chunks.push(chunk.slice());
      pending += chunk.length;
      if (pending < flushBytes) return;
      // A browser may move a Blob to a disk.
      blob = new Blob([blob, ...chunks]);
      chunks = [];
      pending = 0;
    });
    blob = new Blob([blob, ...chunks]);
    this.size = blob.size;
    return blobSource(this.name, blob, this.#control);
  }

  /** Sends a request and passes the answer to `use`, which may stop it. */
  async #connect<T>(
    headers: Record<string, string>,
    use: (response: Response, stop: () => void) => Promise<T>,
  ): Promise<T> {
    const request = new AbortController();
    const stop = (): void => request.abort();
    const leave = this.#control.onStop(stop);
    // A property of `this` would pass `this` to the function, which browsers refuse.
    const fetchFunction = this.#fetch;
    const answer = async (): Promise<Response> =>
      fetchFunction(this.#url.href, { headers, signal: request.signal });
    try {
      this.#control.check();
      const response = await this.#control.step(
        answer(),
        () => `${this.name}: the server did not answer`,
        (error) => this.#fail(`could not be read: ${describeCause(error)}`),
      );
      if (typeof response?.status !== 'number' || typeof response.headers?.get !== 'function') {
        this.#fail('could not be read: fetch did not return a Response');
      }
      return await use(response, stop);
    } catch (error) {
      stop();
      if (isInstance(error, CrossAttentionError)) throw error;
      // A Response that is not what it seems.
      return this.#fail(`could not be read: ${messageOf(error)}`);
    } finally {
      leave();
    }
  }

  /** Calls `take` for each chunk of a body. Throws unless there are `expected` bytes, if that is known. */
  async #forChunks(
    response: Response,
    expected: number | undefined,
    take: (chunk: Uint8Array, received: number) => void,
  ): Promise<void> {
    let received = 0;
    const progress = (): string => `after ${received} of ${expected ?? 'unknown'} bytes`;
    const interrupted = (error: unknown): never =>
      this.#fail(`the download was interrupted ${progress()}: ${describeCause(error)}`, ': ');
    const stalled = (): string => `${this.name}: the download was interrupted ${progress()}: no data`;
    const next = async <T>(work: Promise<T>): Promise<T> => this.#control.step(work, stalled, interrupted);
    const accept = (chunk: Uint8Array): void => {
      received += chunk.length;
      take(chunk, received);
    };
    if (response.body) {
      const reader = response.body.getReader();
      try {
        for (let part = await next(reader.read()); !part.done; part = await next(reader.read())) {
          accept(part.value);
        }
      } catch (error) {
        reader.cancel().catch(() => {});
        throw error;
      }
    } else {
      accept(new Uint8Array(await next(response.arrayBuffer())));
    }
    if (received !== (expected ?? received)) interrupted('the connection was closed');
  }

  #fail(problem: string, separator = ' '): never {
    // Messages of fetch contain the whole URL, with what may be secret in it.
    throw new WeightsError(`${this.name}${separator}${problem.replaceAll(this.#url.href, this.name)}`);
  }
}

/** Returns the message of an error of fetch. Node has the reason in its cause. */
function describeCause(error: unknown): string {
  const cause = isInstance(error, Error) ? error.cause : undefined;
  return isInstance(cause, Error) ? `${messageOf(error)}: ${messageOf(cause)}` : messageOf(error);
}
