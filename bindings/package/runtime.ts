import {
  accelerator,
  type DeviceChoice,
  type GpuMemoryInUse,
  type Location,
  setAccelerator,
} from './accelerator';
import { checkOneOf, checkOptions, fail } from './checks';
import { coreClasses, coreFunctions, type Core } from './core';
import { messageOf, NotInitializedError } from './errors';
import type { UsersDevice } from './gpu_types';
import {
  checkModuleOptions,
  loadModule,
  type CheckedModuleOptions,
  type Factories,
  type ModuleOptions,
} from './module';
import { restoreStackAfterErrors } from './stack';
import { version } from './version';

export { version };

export interface InitOptions extends ModuleOptions {
  /** 'auto' takes WebGPU where an adapter answers and measurement says that it wins; never an error if absent. */
  device?: 'auto' | 'wasm' | 'webgpu';
  /** A GPUDevice of yours to compute on, so that your buffers can be taken as they are. */
  gpuDevice?: UsersDevice;
  /**
   * How weights are kept in GPU memory: 'float16' takes half of it, with results that differ by up to 0.5 %; sums are
   * float32 either way. Default 'float32'.
   */
  gpuPrecision?: 'float32' | 'float16';
}

export interface RuntimeInfo {
  readonly simd: 'relaxed' | 'baseline';
  readonly threads: number;
  /** Why there are so many threads. */
  readonly threadsReason: string;
  readonly device: 'wasm' | 'webgpu';
  /** The adapter's description, or why there is none. */
  readonly webgpu: string;
  readonly version: string;
}

/** Written out one by one, for bundlers look for literal names. */
const factories: Factories<Core> = {
  relaxed: () => import('./wasm/cross-attention-relaxed.js'),
  'relaxed-threads': () => import('./wasm/cross-attention-relaxed-threads.js'),
  baseline: () => import('./wasm/cross-attention-baseline.js'),
  'baseline-threads': () => import('./wasm/cross-attention-baseline-threads.js'),
};

let loading: Promise<RuntimeInfo> | null = null;
let loaded: { core: Core; info: RuntimeInfo } | null = null;

/** The core. Throws NotInitializedError before `init`. */
export function getCore(): Core {
  if (loaded === null)
    throw new NotInitializedError('the package is not initialized; it takes `await init()` first');
  return loaded.core;
}

/** What `init` found and chose. Throws NotInitializedError before it. */
export function getRuntimeInfo(): RuntimeInfo {
  getCore();
  return loaded!.info;
}

/** Bytes of WASM memory in live tensors, layers and caches: 0 after everything was disposed of. */
export function memoryInUse(): number {
  return getCore().memoryInUse();
}

/** Buffers and bytes of GPU memory in live tensors, layers and caches: none after everything was disposed of. */
export function gpuMemoryInUse(): GpuMemoryInUse {
  getCore();
  return accelerator()?.memoryInUse() ?? { buffers: 0, bytes: 0 };
}

/** Resolves once the graphics card has done all that it was given. */
export async function synchronize(): Promise<void> {
  getCore();
  await accelerator()?.synchronize();
}

function checkGpuDevice(gpuDevice: unknown): GPUDevice | undefined {
  if (gpuDevice === undefined || gpuDevice === null) return undefined;
  if (typeof (gpuDevice as GPUDevice).createBuffer !== 'function')
    fail('gpuDevice', gpuDevice, 'a GPUDevice');
  return gpuDevice as GPUDevice;
}

interface GpuOptions {
  choice: DeviceChoice;
  precision: 'float32' | 'float16';
  gpuDevice: UsersDevice | undefined;
}

/** What is known of WebGPU, in words. Loads what drives it only where it may be there. */
async function startGpu({ choice, precision, gpuDevice }: GpuOptions, core: string): Promise<string> {
  if (choice === 'wasm') return "not asked for: device is 'wasm'";
  if (gpuDevice === undefined && !globalThis.navigator?.gpu) return 'navigator.gpu is not there';
  try {
    const { start } = await import('./webgpu.js');
    const started = await start({ choice, precision, gpuDevice, core });
    setAccelerator(started.accelerator);
    return started.description;
  } catch (error) {
    return `its module could not be loaded: ${messageOf(error)}`;
  }
}

/** Where calls go by themselves. */
function deviceFor(choice: DeviceChoice): Location {
  const gpu = accelerator();
  if (gpu === null || !gpu.isThere) return 'wasm';
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
  const known = { ...found, version };
  loaded = { core, info: { ...known, device: 'wasm', webgpu: 'being looked for' } };
  const webgpu = await startGpu(gpu, `${version}, ${variant}, ${found.threads}`);
  const info = Object.freeze<RuntimeInfo>({ ...known, device: deviceFor(gpu.choice), webgpu });
  loaded = { core, info };
  return info;
}

/**
 * Loads the WASM variant that fits this machine. Idempotent: once loaded, every call gives the same RuntimeInfo,
 * whatever its options. Throws ArgumentError for options that cannot be; a failed load may be tried again.
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
