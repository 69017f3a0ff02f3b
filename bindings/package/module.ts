// Loading a WebAssembly module: chooses the variant that this machine can run, and the number of threads.
import { relaxedSimd } from 'wasm-feature-detect';
import { fail, show } from './checks';
import { ArgumentError, CrossAttentionError, messageOf } from './errors';
import { type CheckedModuleOptions, maxThreads, type ModuleInfo } from './module_options';
import type { Loading, ModuleSources, Simd } from './module_sources';
import { type Platform, sharedMemoryObstacle } from './platform';
import { withLimit } from './time_limit';
import type { CompiledBinary } from './wasm_binary';

/** Limits of the waits of `init`, in seconds: a worker or server that never answers must not block it. */
const maxWait = { threads: 20, all: 100 };

function chooseThreads(
  { threads: wanted }: CheckedModuleOptions,
  platform: Platform,
  binary: CompiledBinary | null,
): { threads: number; reason: string } {
  if (wanted === 1) return { threads: 1, reason: 'requested' };
  if (binary?.hasThreads === false) return { threads: 1, reason: 'wasmBinary is a variant without threads' };
  const obstacle = sharedMemoryObstacle();
  if (obstacle !== null) return { threads: 1, reason: obstacle };
  if (wanted !== 'auto') return { threads: wanted, reason: 'requested' };
  const cores = platform.cores();
  if (cores === 0) return { threads: 1, reason: 'the number of cores is unknown' };
  return { threads: Math.min(cores, maxThreads), reason: 'the number of cores of this machine' };
}

async function chooseSimd(wanted: 'auto' | Simd): Promise<Simd> {
  if (wanted === 'baseline') return wanted;
  if (await relaxedSimd()) return 'relaxed';
  if (wanted === 'relaxed') {
    throw new ArgumentError(
      "simd is 'relaxed'; expected 'auto' or 'baseline': this machine has no relaxed SIMD",
    );
  }
  return 'baseline';
}

/** Returns the name that tools/lib/loader.mjs wrote into a module. */
function variantOf(module: WebAssembly.Module): string {
  const [section] = WebAssembly.Module.customSections(module, 'variant');
  return section === undefined ? 'no module of this package' : new TextDecoder().decode(section);
}

/** Creates a module with one thread. Returns also why the file could not be loaded, if it could not. */
async function createSingle<C>(loading: Loading<C>, simd: Simd): Promise<{ core: C; problem: string }> {
  const { sources, options, binary } = loading;
  let problem = '';
  const loader = await sources.loaders[simd]();
  let wasm = loading.compile(simd, loader);
  if (options.base === null && binary === null) {
    const file = wasm;
    wasm = loading.limited('the .wasm file did not arrive', file).catch(async (error) => {
      problem = messageOf(error);
      const embedded = sources.embedded[simd]().then(({ compile }) => compile());
      // A slow file may still arrive first.
      return Promise.any([file, embedded]).catch(() => Promise.reject(error));
    });
  }
  return { core: await loader.default({ wasm }), problem };
}

/** Returns the core, and why it has one thread if it should have more. */
async function createCore<C>(
  loading: Loading<C>,
  simd: Simd,
  { threads, reason }: { threads: number; reason: string },
): Promise<{ core: C; info: ModuleInfo }> {
  let threadsReason = reason;
  if (threads > 1) {
    try {
      const variant = `${simd}-threads` as const;
      const files = Promise.all([import('./threads.js'), loading.sources.loaders[variant]()]);
      const [{ createThreads }, loader] = await loading.limited('the loader did not arrive', files);
      const core = await createThreads(loading, variant, threads, loader);
      return { core, info: { simd, threads, threadsReason } };
    } catch (error) {
      if (loading.binary !== null) throw error;
      threadsReason = `the threads could not be started: ${messageOf(error)}`;
    }
  }
  const { core, problem } = await withLimit(maxWait.all, 'it did not arrive', createSingle(loading, simd));
  if (problem) threadsReason += `; an embedded module without threads is used: ${problem}`;
  return { core, info: { simd, threads: 1, threadsReason } };
}

/** Returns the error for a file that could not be loaded, with what may help. */
function loadError(what: string, error: unknown, { base, binary }: CheckedModuleOptions): Error {
  let hint = binary === null ? '; set wasmBaseUrl if it is elsewhere' : '';
  if (base !== null) hint = `; wasmBaseUrl is ${show(base)}`;
  // It may not import on demand.
  if ('ServiceWorkerGlobalScope' in globalThis) {
    hint = "; import 'diffusion-cross-attention/single-file' in a service worker";
  }
  return new CrossAttentionError('ERR_LOAD', `${what} could not be loaded: ${messageOf(error)}${hint}`);
}

/**
 * Loads the variant that fits this machine and starts its threads. If these do not start, it loads the
 * variant with one thread. `prepare` is called before the core is used.
 */
export async function loadModule<C extends { setThreads(threads: number): void }>(
  sources: ModuleSources<C>,
  platform: Platform,
  options: CheckedModuleOptions,
  prepare: (core: C) => void,
): Promise<{ core: C; info: ModuleInfo }> {
  const end = performance.now() + 1000 * maxWait.threads;
  const limited: Loading<C>['limited'] = (what, work, seconds = maxWait.threads) =>
    withLimit(Math.min(seconds, Math.max(0, end - performance.now()) / 1000), what, work);
  let binary: CompiledBinary | null = null;
  if (options.binary !== null) {
    const { compileBinary } = await limited('it did not arrive', import('./wasm_binary.js')).catch(
      (error) => {
        throw loadError('the module that reads wasmBinary', error, options);
      },
    );
    binary = await compileBinary(options, sources.name, fail);
  }
  const simd = await chooseSimd(binary?.simd ?? options.simd);
  const chosen = chooseThreads(options, platform, binary);
  if (binary?.hasThreads && chosen.threads === 1) {
    fail('wasmBinary', 'a variant with threads', `one without (${chosen.reason})`);
  }
  const compile: Loading<C>['compile'] = async (variant, { wasmUrl }) => {
    if (binary !== null) return binary.module;
    const { base } = options;
    const name = `${sources.name}-${variant}`;
    const url = base === null ? String(wasmUrl()) : `${base}${name}.wasm`;
    const module = await platform.compile(url);
    const found = variantOf(module);
    if (found !== name) throw new Error(`${url} is ${found}; expected ${name}`);
    return module;
  };
  try {
    const loaded = await createCore({ sources, platform, options, binary, compile, limited }, simd, chosen);
    prepare(loaded.core);
    loaded.core.setThreads(loaded.info.threads);
    return loaded;
  } catch (error) {
    throw loadError(`the WebAssembly module of variant ${simd}`, error, options);
  }
}
