// The WebAssembly module of the layer.
import { type Core, coreClasses, coreFunctions } from './core';
import { type LoadCore, makeInit, type Init } from './init';
import { loadModule } from './module';
import type { ModuleSources } from './module_sources';
import type { Platform } from './platform';
import { setOpenFile } from './runtime';
import { restoreStackAfterErrors } from './stack';

const sources: ModuleSources<Core> = {
  name: 'cross-attention',
  loaders: {
    relaxed: () => import('./wasm/cross-attention-relaxed.js'),
    'relaxed-threads': () => import('./wasm/cross-attention-relaxed-threads.js'),
    baseline: () => import('./wasm/cross-attention-baseline.js'),
    'baseline-threads': () => import('./wasm/cross-attention-baseline-threads.js'),
  },
  workers: {
    'relaxed-threads': () =>
      new Worker(new URL('./wasm/cross-attention-relaxed-threads-worker.js', import.meta.url), {
        type: 'module',
      }),
    'baseline-threads': () =>
      new Worker(new URL('./wasm/cross-attention-baseline-threads-worker.js', import.meta.url), {
        type: 'module',
      }),
  },
  embedded: {
    relaxed: () => import('./embedded_relaxed.js'),
    baseline: () => import('./embedded_baseline.js'),
  },
};

const prepare = (core: Core): void => restoreStackAfterErrors(core, coreClasses, coreFunctions);

/** Returns the function that loads the layer's module on a platform. */
export function makeInitOn(platform: () => Promise<Platform>): Init {
  const load: LoadCore = async (options) => {
    const here = await platform();
    setOpenFile(here.openFile);
    return loadModule(sources, here, options, prepare);
  };
  return makeInit(load, () => import('./webgpu.js'));
}
