// State: the loaded WebAssembly module of the denoiser.
import { viewBytes } from '../bytes';
import { fail } from '../checks';
import { NotInitializedError } from '../errors';
import type { ModuleInfo, ModuleOptions } from '../module_options';
import type { DenoiserCore } from './core';

/** The variant of the module that runs, its number of threads and why. */
export interface DenoiserRuntimeInfo extends Readonly<ModuleInfo> {
  readonly version: string;
}

let loaded: DenoiserCore | null = null;

/** The function `init` of the denoiser's entries. */
export type DenoiserInit = (options?: ModuleOptions) => Promise<DenoiserRuntimeInfo>;

export function setCore(core: DenoiserCore): void {
  loaded = core;
}

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

/** Returns the bytes of a file that is given as an argument. */
export function checkFile(argument: string, file: unknown): Uint8Array {
  return viewBytes(argument, file) ?? fail(argument, file, 'an ArrayBuffer or Uint8Array (safetensors)');
}
