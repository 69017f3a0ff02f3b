// The WebAssembly module of the denoiser.
import { readOptions } from '../checks';
import { loadModule } from '../module';
import { checkModuleOptions, type CheckedModuleOptions, moduleOptionNames } from '../module_options';
import type { ModuleSources } from '../module_sources';
import type { Platform } from '../platform';
import { restoreStackAfterErrors } from '../stack';
import { coreClasses, coreFunctions, type DenoiserCore } from './core';
import { type DenoiserInit, type DenoiserRuntimeInfo, setCore } from './runtime';

const sources: ModuleSources<DenoiserCore> = {
  name: 'denoiser',
  loaders: {
    relaxed: () => import('./wasm/denoiser-relaxed.js'),
    'relaxed-threads': () => import('./wasm/denoiser-relaxed-threads.js'),
    baseline: () => import('./wasm/denoiser-baseline.js'),
    'baseline-threads': () => import('./wasm/denoiser-baseline-threads.js'),
  },
  workers: {
    'relaxed-threads': () =>
      new Worker(new URL('./wasm/denoiser-relaxed-threads-worker.js', import.meta.url), { type: 'module' }),
    'baseline-threads': () =>
      new Worker(new URL('./wasm/denoiser-baseline-threads-worker.js', import.meta.url), { type: 'module' }),
  },
  embedded: {
    relaxed: () => import('./denoiser_embedded_relaxed.js'),
    baseline: () => import('./denoiser_embedded_baseline.js'),
  },
};

let loading: Promise<DenoiserRuntimeInfo> | null = null;

/** Returns the `init` that loads the module on a platform. */
export function makeInitOn(platform: () => Promise<Platform>): DenoiserInit {
  async function load(options: CheckedModuleOptions): Promise<DenoiserRuntimeInfo> {
    const { core, info } = await loadModule(sources, await platform(), options, (made) =>
      restoreStackAfterErrors(made, coreClasses, coreFunctions),
    );
    setCore(core);
    return Object.freeze<DenoiserRuntimeInfo>({ ...info, version: packageVersion });
  }

  return async (options) => {
    const checked = checkModuleOptions(readOptions('options', options, moduleOptionNames));
    loading ??= load(checked).catch((error) => {
      loading = null;
      throw error;
    });
    return loading;
  };
}
