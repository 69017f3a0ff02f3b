// Loading a WebAssembly module: chooses the variant that this machine can run, and the number of threads.
import { relaxedSimd } from 'wasm-feature-detect';
import { checkOneOf, fail } from './checks';
import { ArgumentError, CrossAttentionError, messageOf } from './errors';
import type { UsersUrl } from './platform_types';

const maxThreads = 64;

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
}

export interface CheckedModuleOptions {
  threads: number | 'auto';
  simd: 'auto' | 'relaxed' | 'baseline';
  base: string | null;
}

/** The variant that was loaded, and why it has this number of threads. */
export interface ModuleInfo {
  simd: 'relaxed' | 'baseline';
  threads: number;
  threadsReason: string;
}

/** Options of the function by which Emscripten creates a module. */
export interface CoreOptions {
  /** Number of workers to start, for the core's threads. */
  workers?: number;
  locateFile?: (name: string, folder: string) => string;
  /** Ends the workers. A module with threads sets it, even if its loading fails. */
  endWorkers?: () => void;
}

export type VariantName = 'relaxed' | 'relaxed-threads' | 'baseline' | 'baseline-threads';
/** Loaders of the modules that Emscripten wrote, by variant. */
export type Factories<C> = Record<
  VariantName,
  () => Promise<{ default: (options: CoreOptions) => Promise<C> }>
>;

const isNode = typeof process === 'object' && typeof process.versions?.node === 'string';

/** Returns why memory cannot be shared with workers; null if it can. */
function sharedMemoryObstacle(): string | null {
  if (typeof SharedArrayBuffer === 'undefined') {
    return 'no SharedArrayBuffer: the page is not cross-origin isolated';
  }
  if (isNode || globalThis.crossOriginIsolated) return null;
  return 'the page is not cross-origin isolated';
}

function checkThreads(threads: unknown): number | 'auto' {
  const fits =
    threads === 'auto' ||
    (Number.isInteger(threads) && (threads as number) >= 1 && (threads as number) <= maxThreads);
  if (!fits) fail('threads', threads, `'auto' or an integer from 1 to ${maxThreads}`);
  return threads as number | 'auto';
}

/** Returns the number of processor cores that this program may use; null if it is unknown. */
async function countCores(): Promise<number | null> {
  // Node 20 has no navigator yet.
  if (isNode) return (await import(/* @vite-ignore */ 'node:os')).availableParallelism();
  return globalThis.navigator?.hardwareConcurrency || null;
}

async function chooseThreads(wanted: number | 'auto'): Promise<{ threads: number; reason: string }> {
  if (wanted === 1) return { threads: 1, reason: 'requested' };
  const obstacle = sharedMemoryObstacle();
  if (obstacle !== null) return { threads: 1, reason: obstacle };
  if (wanted !== 'auto') return { threads: wanted, reason: 'requested' };
  const cores = await countCores();
  if (cores === null) return { threads: 1, reason: 'the number of cores is unknown' };
  return { threads: Math.min(cores, maxThreads), reason: 'the number of cores of this machine' };
}

async function chooseSimd(wanted: 'auto' | 'relaxed' | 'baseline'): Promise<'relaxed' | 'baseline'> {
  if (wanted === 'baseline') return wanted;
  if (await relaxedSimd()) return 'relaxed';
  if (wanted === 'relaxed') {
    throw new ArgumentError(
      "simd is 'relaxed'; expected 'auto' or 'baseline': this machine has no relaxed SIMD",
    );
  }
  return 'baseline';
}

function checkBaseUrl(wasmBaseUrl: unknown): string | null {
  if (wasmBaseUrl === undefined || wasmBaseUrl === null) return null;
  if (typeof wasmBaseUrl !== 'string' && !(wasmBaseUrl instanceof URL)) {
    fail('wasmBaseUrl', wasmBaseUrl, 'a string or a URL');
  }
  const base = String(wasmBaseUrl);
  return base.endsWith('/') ? base : `${base}/`;
}

/**
 * Returns the function that locates files below the base for Emscripten's loader: as paths in Node, else as
 * URLs.
 */
async function makeLocateFile(base: string): Promise<(name: string) => string> {
  if (!isNode || !base.startsWith('file:')) return (name) => base + name;
  const { fileURLToPath } = await import(/* @vite-ignore */ 'node:url');
  return (name) => fileURLToPath(base + name);
}

/** Throws CrossAttentionError 'ERR_LOAD' if the module cannot be loaded or does not run here. */
async function createCore<C>(
  factories: Factories<C>,
  variant: VariantName,
  options: CoreOptions,
): Promise<C> {
  try {
    const { default: create } = await factories[variant]();
    return await create(options);
  } catch (error) {
    options.endWorkers?.();
    throw new CrossAttentionError(
      'ERR_LOAD',
      `the WebAssembly module of variant ${variant} could not be loaded: ${messageOf(error)}; ` +
        `set wasmBaseUrl if it is elsewhere`,
    );
  }
}

/** Throws ArgumentError for invalid options. */
export function checkModuleOptions({
  threads = 'auto',
  simd = 'auto',
  wasmBaseUrl,
}: ModuleOptions): CheckedModuleOptions {
  return {
    threads: checkThreads(threads),
    simd: checkOneOf('simd', simd, ['auto', 'relaxed', 'baseline']),
    base: checkBaseUrl(wasmBaseUrl),
  };
}

/**
 * Loads the variant that fits this machine and starts its threads. `prepare` is called before the core is
 * used.
 */
export async function loadModule<C extends { setThreads(threads: number): void }>(
  factories: Factories<C>,
  options: CheckedModuleOptions,
  prepare: (core: C) => void,
): Promise<{ core: C; variant: VariantName; info: ModuleInfo }> {
  const simd = await chooseSimd(options.simd);
  const { threads, reason } = await chooseThreads(options.threads);
  const variant: VariantName = threads > 1 ? `${simd}-threads` : simd;
  const core = await createCore(factories, variant, {
    // One worker for each thread besides the calling one, and one for forwards that run in the background.
    ...(threads > 1 ? { workers: threads } : {}),
    ...(options.base === null ? {} : { locateFile: await makeLocateFile(options.base) }),
  });
  prepare(core);
  core.setThreads(threads);
  return { core, variant, info: { simd, threads, threadsReason: reason } };
}
