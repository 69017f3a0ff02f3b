// Where a string or URL points to, and the source that reads it.
import { show } from '../checks';
import { ArgumentError, messageOf, WeightsError } from '../errors';
import { getOpenFile } from '../runtime';
import { allocateBytes, type ByteSource } from './byte_source';
import { describeUrl, HttpSource, type ImpliedSize } from './http_source';
import type { ReadControl } from './read_control';

/** A URL, or a path on disk. */
export type Location = URL | string;

/** A letter alone is a drive of Windows. */
const scheme = /^[a-z][a-z0-9+.-]+:/i;

export function locate(argument: string, source: string | URL): Location {
  const text = String(source);
  if (text === '') throw new ArgumentError(`${argument} is ""; expected a URL or a path`);
  // A page, or a worker of one. Node has neither.
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  const isAbsolute = scheme.test(text);
  if (!isAbsolute && base === undefined) return text;
  try {
    return isAbsolute ? new URL(text) : new URL(text, base);
  } catch {
    throw new ArgumentError(`${argument} is ${show(text)}; expected a URL or a path`);
  }
}

/** True for the index of the shards of a file. */
export const isIndex = (location: Location): boolean =>
  (typeof location === 'string' ? location : location.pathname).endsWith('.index.json');

/** Returns the location of a file next to another one. */
export const neighbour = (location: Location, name: string): Location =>
  typeof location === 'string'
    ? location.replace(/[^/\\]*$/, '') + name
    : new URL(name.split('/').map(encodeURIComponent).join('/'), location);

async function openOnDisk(location: Location, control: ReadControl): Promise<ByteSource> {
  const name = String(location).slice(0, 300);
  const failed = (error: unknown): never => {
    throw new WeightsError(`${name} could not be read: ${messageOf(error)}`);
  };
  const step = <T>(work: Promise<T>): Promise<T> => control.step(work, () => `${name}: no answer`, failed);
  const openFile = getOpenFile();
  if (openFile === undefined) {
    throw new WeightsError(
      `${name} is on disk; expected a URL, a Blob or bytes: only Node reads files on disk`,
    );
  }
  const file = await step(openFile(location));
  return {
    name,
    size: file.size,
    async read(begin, end) {
      const bytes = allocateBytes(Math.min(end, file.size) - begin);
      if (bytes.length > 0) await step(file.read(begin, bytes));
      return bytes;
    },
  };
}

export async function openLocation(
  location: Location,
  fetchFunction: typeof fetch,
  control: ReadControl,
  impliedSize: ImpliedSize,
): Promise<ByteSource & { readAll?(): Promise<Uint8Array> }> {
  const isDisk = typeof location === 'string' || location.protocol === 'file:';
  if (isDisk) return openOnDisk(location, control);
  if (typeof fetchFunction !== 'function') {
    throw new ArgumentError(
      `options.fetch is required for ${describeUrl(location)}: there is no global fetch`,
    );
  }
  return new HttpSource(location, fetchFunction, control, impliedSize);
}
