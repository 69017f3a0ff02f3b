import { checkOptions, fail } from '../checks';
import { NotInitializedError } from '../errors';
import {
  checkModuleOptions,
  loadModule,
  type CheckedModuleOptions,
  type Factories,
  type ModuleInfo,
  type ModuleOptions,
} from '../module';
import { restoreStackAfterErrors } from '../stack';
import { coreClasses, coreFunctions, type DenoiserCore } from './core';

/** The variant of the module that runs, its number of threads and why. */
export interface DenoiserRuntimeInfo extends Readonly<ModuleInfo> {
  readonly version: string;
}

/** One literal import each: bundlers do not resolve computed names. */
const factories: Factories<DenoiserCore> = {
  relaxed: () => import('./wasm/denoiser-relaxed.js'),
  'relaxed-threads': () => import('./wasm/denoiser-relaxed-threads.js'),
  baseline: () => import('./wasm/denoiser-baseline.js'),
  'baseline-threads': () => import('./wasm/denoiser-baseline-threads.js'),
};

let loading: Promise<DenoiserRuntimeInfo> | null = null;
let loaded: DenoiserCore | null = null;

/** Returns the module. Throws NotInitializedError before `init`. */
export function getCore(): DenoiserCore {
  if (loaded === null) {
    throw new NotInitializedError('the denoiser is not initialized; call `await init()`');
  }
  return loaded;
}

/** Bytes of WASM memory in live models, samplers and caches: 0 after everything was disposed. */
export function memoryInUse(): number {
  return getCore().memoryInUse();
}

async function load(options: CheckedModuleOptions): Promise<DenoiserRuntimeInfo> {
  const { core, info } = await loadModule(factories, options, (made) =>
    restoreStackAfterErrors(made, coreClasses, coreFunctions),
  );
  loaded = core;
  return Object.freeze<DenoiserRuntimeInfo>({ ...info, version: packageVersion });
}

/**
 * Loads the denoiser's WASM variant that fits this machine: a module separate from the layer's. Idempotent:
 * once loaded, every call returns the same information, whatever its options. Throws ArgumentError for
 * invalid options and CrossAttentionError 'ERR_LOAD' if the module cannot be loaded; a failed call may be
 * repeated.
 */
export async function init(options?: ModuleOptions): Promise<DenoiserRuntimeInfo> {
  const checked = checkModuleOptions(checkOptions('options', options));
  loading ??= load(checked).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** Returns the bytes of a file that is given as an argument. */
export function checkFile(argument: string, file: unknown): Uint8Array {
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  if (file instanceof Uint8Array) return file;
  fail(argument, file, 'an ArrayBuffer or Uint8Array (safetensors)');
}
