// Loading the WebAssembly core and starting the GPU.
import type { DeviceChoice } from './accelerator';
import { checkOneOf, checkOptions, fail } from './checks';
import { coreClasses, coreFunctions, type Core } from './core';
import { accelerator, setAccelerator } from './current_accelerator';
import { messageOf } from './errors';
import type { UsersDevice } from './platform_types';
import {
  checkModuleOptions,
  loadModule,
  type CheckedModuleOptions,
  type Factories,
  type ModuleOptions,
} from './module';
import type { Location } from './resident';
import { type RuntimeInfo, setRuntime } from './runtime';
import { restoreStackAfterErrors } from './stack';

export interface InitOptions extends ModuleOptions {
  /**
   * Device of asynchronous calls that do not name one. 'auto' uses WebGPU if there is an adapter and
   * measurement shows that it is faster. Never an error if there is no GPU. Default 'auto'.
   */
  device?: 'auto' | 'wasm' | 'webgpu';
  /** A GPUDevice of yours to compute on, so that its buffers can be used without a copy. */
  gpuDevice?: UsersDevice;
  /**
   * Storage precision of weights in GPU memory. 'float16' halves their size; results differ by up to 0.5 %.
   * Sums are float32 in both cases. Default 'float32'.
   */
  gpuPrecision?: 'float32' | 'float16';
}

/** One literal import each: bundlers do not resolve computed names. */
const factories: Factories<Core> = {
  relaxed: () => import('./wasm/cross-attention-relaxed.js'),
  'relaxed-threads': () => import('./wasm/cross-attention-relaxed-threads.js'),
  baseline: () => import('./wasm/cross-attention-baseline.js'),
  'baseline-threads': () => import('./wasm/cross-attention-baseline-threads.js'),
};

let loading: Promise<RuntimeInfo> | null = null;

function checkGpuDevice(gpuDevice: unknown): GPUDevice | undefined {
  if (gpuDevice === undefined || gpuDevice === null) return undefined;
  if (typeof (gpuDevice as GPUDevice).createBuffer !== 'function') {
    fail('gpuDevice', gpuDevice, 'a GPUDevice');
  }
  return gpuDevice as GPUDevice;
}

interface GpuOptions {
  choice: DeviceChoice;
  precision: 'float32' | 'float16';
  gpuDevice: UsersDevice | undefined;
}

/** Starts WebGPU if it may be available. Returns the adapter's description, or why WebGPU is not used. */
async function startGpu({ choice, precision, gpuDevice }: GpuOptions, core: string): Promise<string> {
  if (choice === 'wasm') return "not requested: device is 'wasm'";
  if (gpuDevice === undefined && !globalThis.navigator?.gpu) return 'navigator.gpu is undefined';
  try {
    const { start } = await import('./webgpu.js');
    const started = await start({ choice, precision, gpuDevice, core });
    setAccelerator(started.accelerator);
    return started.description;
  } catch (error) {
    return `its module could not be loaded: ${messageOf(error)}`;
  }
}

function defaultDevice(choice: DeviceChoice): Location {
  const gpu = accelerator();
  if (gpu === null || !gpu.isAvailable) return 'wasm';
  return choice === 'webgpu' ? 'webgpu' : gpu.preferred;
}

async function load(options: CheckedModuleOptions, gpu: GpuOptions): Promise<RuntimeInfo> {
  const {
    core,
    variant,
    info: found,
  } = await loadModule(factories, options, (made) =>
    restoreStackAfterErrors(made, coreClasses, coreFunctions),
  );
  const known = { ...found, version: packageVersion };
  // The GPU's calibration runs layers, which need the core.
  setRuntime(core, { ...known, device: 'wasm', webgpu: 'starting' });
  const webgpu = await startGpu(gpu, `${packageVersion}, ${variant}, ${found.threads}`);
  const info = Object.freeze<RuntimeInfo>({ ...known, device: defaultDevice(gpu.choice), webgpu });
  setRuntime(core, info);
  return info;
}

/**
 * Loads the WASM variant that fits this machine and starts the GPU if there is one. Everything else in this
 * package throws NotInitializedError before. Idempotent: once loaded, every call returns the same
 * RuntimeInfo, whatever its options. Throws ArgumentError for invalid options and CrossAttentionError
 * 'ERR_LOAD' if the module cannot be loaded; a failed call may be repeated.
 *
 * @example
 * const { simd, threads, device } = await init({ threads: 4, device: 'wasm' });
 */
export async function init(options?: InitOptions): Promise<RuntimeInfo> {
  const given = checkOptions('options', options);
  const { device = 'auto', gpuDevice, gpuPrecision = 'float32' } = given;
  const checked = checkModuleOptions(given);
  const gpu = {
    choice: checkOneOf('device', device, ['auto', 'wasm', 'webgpu']),
    precision: checkOneOf('gpuPrecision', gpuPrecision, ['float32', 'float16']),
    gpuDevice: checkGpuDevice(gpuDevice),
  };
  loading ??= load(checked, gpu).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}
