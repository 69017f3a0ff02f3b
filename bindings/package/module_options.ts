// The options of `init` that concern the WebAssembly module.
import { viewBytes } from './bytes';
import { checkOneOf, checkString, fail, read } from './checks';
import type { UsersUrl } from './platform_types';

export const maxThreads = 64;

/**
 * A WebAssembly.Module. TypeScript knows it only with its library DOM, which programs for Node need not have.
 */
export type WasmModule = object;

/** Options of `init` of every entry. */
export interface ModuleOptions {
  /**
   * Threads of the WASM core, 1 to 64. 'auto': one for each processor core if SharedArrayBuffer is available,
   * else 1. Default 'auto'.
   */
  threads?: number | 'auto';
  /**
   * 'relaxed' uses fused multiply-add (relaxed SIMD), 'baseline' fixed-width SIMD. 'auto' uses relaxed SIMD
   * if the machine supports it. Default 'auto'.
   */
  simd?: 'auto' | 'relaxed' | 'baseline';
  /** URL of the folder with the .wasm files. Default: wasm/ next to the package's module. */
  wasmBaseUrl?: string | UsersUrl;
  /**
   * The content of one of the package's .wasm files, or the module compiled from it. It determines the
   * variant, and nothing is fetched.
   */
  wasmBinary?: ArrayBuffer | ArrayBufferView | WasmModule;
  /**
   * URL of the script of the worker threads: a copy of wasm/<variant>-worker.js with <variant>.js next to it,
   * or a bundle of it. If it ends with '/', it is the folder with these files. Default: wasm/ next to the
   * package's module.
   */
  workerUrl?: string | UsersUrl;
}

/** Bytes of our own, or a compiled module. */
type Binary = Uint8Array<ArrayBuffer> | WasmModule;

export interface CheckedModuleOptions {
  threads: number | 'auto';
  simd: 'auto' | 'relaxed' | 'baseline';
  base: string | null;
  binary: Binary | null;
  workerUrl: string | null;
}

function checkThreads(threads: unknown): number | 'auto' {
  const fits =
    threads === 'auto' ||
    (Number.isInteger(threads) && (threads as number) >= 1 && (threads as number) <= maxThreads);
  if (!fits) fail('threads', threads, `'auto' or an integer from 1 to ${maxThreads}`);
  return threads as number | 'auto';
}

/** Returns a URL as a string; null if there is none. */
function checkUrl(argument: string, url: unknown): string | null {
  if (url === undefined || url === null) return null;
  // By its href: a URL may be of another realm.
  const href: unknown = read(argument, () => (typeof url === 'string' ? url : (url as URL).href));
  if (typeof href !== 'string') fail(argument, url, 'a string or a URL');
  return checkString(argument, href);
}

/** True for a WebAssembly.Module of any realm. */
const isModule = (value: unknown): boolean =>
  read('wasmBinary', () => Object.prototype.toString.call(value)) === '[object WebAssembly.Module]';

function checkBinary(binary: unknown): Binary | null {
  if (binary === undefined || binary === null) return null;
  if (isModule(binary)) return binary as WasmModule;
  const bytes = viewBytes('wasmBinary', binary);
  if (bytes === null) fail('wasmBinary', binary, 'an ArrayBuffer, a typed array or a WebAssembly.Module');
  return new Uint8Array(bytes);
}

export const moduleOptionNames = ['threads', 'simd', 'wasmBaseUrl', 'wasmBinary', 'workerUrl'] as const;

/** Throws ArgumentError for invalid options. */
export function checkModuleOptions({
  threads = 'auto',
  simd = 'auto',
  wasmBaseUrl,
  wasmBinary,
  workerUrl,
}: ModuleOptions): CheckedModuleOptions {
  const base = checkUrl('wasmBaseUrl', wasmBaseUrl);
  return {
    threads: checkThreads(threads),
    simd: checkOneOf('simd', simd, ['auto', 'relaxed', 'baseline']),
    base: base === null || base.endsWith('/') ? base : `${base}/`,
    binary: checkBinary(wasmBinary),
    workerUrl: checkUrl('workerUrl', workerUrl),
  };
}

/** The variant that was loaded, and why it has this number of threads. */
export interface ModuleInfo {
  simd: 'relaxed' | 'baseline';
  threads: number;
  threadsReason: string;
}
