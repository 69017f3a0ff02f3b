// Loading a WebAssembly module of ours: which of its variants this machine can run, with how many threads.
import { relaxedSimd } from 'wasm-feature-detect';
import { checkOneOf, fail } from './checks';
import { ArgumentError, CrossAttentionError, messageOf } from './errors';

const mostThreads = 64;

/** What `init` of every entry takes. */
export interface ModuleOptions {
  /** Worker threads for the WASM core. 'auto': the cores, where SharedArrayBuffer can be had; else 1. */
  threads?: number | 'auto';
  /** 'relaxed': fused multiply-add (relaxed SIMD); 'baseline': fixed-width SIMD. 'auto' detects. */
  simd?: 'auto' | 'relaxed' | 'baseline';
  /** Where the .wasm files are served from, if not beside the module. */
  wasmBaseUrl?: string | URL;
}

/** The same, checked. */
export interface CheckedModuleOptions {
  threads: number | 'auto';
  simd: 'auto' | 'relaxed' | 'baseline';
  base: string | null;
}

/** Which variant was taken, and why there are so many threads. */
export interface ModuleInfo {
  simd: 'relaxed' | 'baseline';
  threads: number;
  threadsReason: string;
}

/** What Emscripten's function for making a module takes. */
export interface CoreOptions {
  /** Workers to be started at once, for the core's threads. */
  workers?: number;
  locateFile?: (name: string, folder: string) => string;
  /** Put there by a module with threads, even where its loading fails: ends its workers. */
  endWorkers?: () => void;
}

export type VariantName = 'relaxed' | 'relaxed-threads' | 'baseline' | 'baseline-threads';
/** The modules that Emscripten wrote, by variant. */
export type Factories<C> = Record<
  VariantName,
  () => Promise<{ default: (options: CoreOptions) => Promise<C> }>
>;

const isNode = typeof process === 'object' && typeof process.versions?.node === 'string';

/** Null where memory can be shared with workers; else why it can't. */
function whyNoSharedMemory(): string | null {
  if (typeof SharedArrayBuffer === 'undefined')
    return 'SharedArrayBuffer is not there: the page is not cross-origin isolated';
  if (isNode || globalThis.crossOriginIsolated) return null;
  return 'the page is not cross-origin isolated';
}

function checkThreads(threads: unknown): number | 'auto' {
  const fits =
    threads === 'auto' ||
    (Number.isInteger(threads) && (threads as number) >= 1 && (threads as number) <= mostThreads);
  if (!fits) fail('threads', threads, `'auto' or an integer from 1 to ${mostThreads}`);
  return threads as number | 'auto';
}

/** The cores that this program may use; null where nobody tells. */
async function countCores(): Promise<number | null> {
  // Node 20 has no navigator yet.
  if (isNode) return (await import(/* @vite-ignore */ 'node:os')).availableParallelism();
  return globalThis.navigator?.hardwareConcurrency || null;
}

async function chooseThreads(wanted: number | 'auto'): Promise<{ threads: number; reason: string }> {
  if (wanted === 1) return { threads: 1, reason: 'asked for' };
  const obstacle = whyNoSharedMemory();
  if (obstacle !== null) return { threads: 1, reason: obstacle };
  if (wanted !== 'auto') return { threads: wanted, reason: 'asked for' };
  const cores = await countCores();
  if (cores === null) return { threads: 1, reason: 'the number of cores is unknown' };
  return { threads: Math.min(cores, mostThreads), reason: 'the cores of this machine' };
}

async function chooseSimd(wanted: 'auto' | 'relaxed' | 'baseline'): Promise<'relaxed' | 'baseline'> {
  if (wanted === 'baseline') return wanted;
  if (await relaxedSimd()) return 'relaxed';
  if (wanted === 'relaxed') {
    throw new ArgumentError(
      "simd is 'relaxed'; this machine's WebAssembly has no relaxed SIMD: it takes 'auto' or 'baseline'",
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

/** A file below the base, in the form that Emscripten's loader takes: in Node a path, elsewhere a URL. */
async function makeLocateFile(base: string): Promise<(name: string) => string> {
  if (!isNode || !base.startsWith('file:')) return (name) => base + name;
  const { fileURLToPath } = await import(/* @vite-ignore */ 'node:url');
  return (name) => fileURLToPath(base + name);
}

/** Throws CrossAttentionError 'ERR_LOAD' where the module cannot be had or does not run here. */
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
      `the WebAssembly module of the variant ${variant} could not be loaded (it lies beside the package's own ` +
        `module unless wasmBaseUrl says where): ${messageOf(error)}`,
    );
  }
}

/** Throws ArgumentError for options that cannot be. */
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

/** The variant that fits this machine, loaded. */
export async function loadModule<C extends { setThreads(threads: number): void }>(
  factories: Factories<C>,
  options: CheckedModuleOptions,
  prepare: (core: C) => void,
): Promise<{ core: C; variant: VariantName; info: ModuleInfo }> {
  const simd = await chooseSimd(options.simd);
  const { threads, reason } = await chooseThreads(options.threads);
  const variant: VariantName = threads > 1 ? `${simd}-threads` : simd;
  const core = await createCore(factories, variant, {
    // One a thread beside the caller's, and one for forwards that are not waited for.
    ...(threads > 1 ? { workers: threads } : {}),
    ...(options.base === null ? {} : { locateFile: await makeLocateFile(options.base) }),
  });
  prepare(core);
  core.setThreads(threads);
  return { core, variant, info: { simd, threads, threadsReason: reason } };
}
