import { relaxedSimd } from 'wasm-feature-detect';
import {
  accelerator,
  type DeviceChoice,
  type GpuMemoryInUse,
  type Location,
  setAccelerator,
} from './accelerator';
import { checkOneOf, checkOptions, fail } from './checks';
import type { Core, CoreFactory, CoreOptions } from './core';
import { ArgumentError, CrossAttentionError, messageOf, NotInitializedError } from './errors';
import type { UsersDevice } from './gpu_types';
import { restoreStackAfterErrors } from './stack';

export const version = '0.1.0';

export interface InitOptions {
  /** Worker threads for the WASM core. 'auto': the cores, where SharedArrayBuffer can be had; else 1. */
  threads?: number | 'auto';
  /** 'relaxed': fused multiply-add (relaxed SIMD); 'baseline': fixed-width SIMD. 'auto' detects. */
  simd?: 'auto' | 'relaxed' | 'baseline';
  /** 'auto' takes WebGPU where an adapter answers and measurement says that it wins; never an error if absent. */
  device?: 'auto' | 'wasm' | 'webgpu';
  /** Where the .wasm files are served from, if not beside the module. */
  wasmBaseUrl?: string | URL;
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

const mostThreads = 64;

/** Written out one by one, for bundlers look for literal names. */
const factories: Record<string, () => Promise<{ default: CoreFactory }>> = {
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

function checkGpuDevice(gpuDevice: unknown): GPUDevice | undefined {
  if (gpuDevice === undefined || gpuDevice === null) return undefined;
  if (typeof (gpuDevice as GPUDevice).createBuffer !== 'function')
    fail('gpuDevice', gpuDevice, 'a GPUDevice');
  return gpuDevice as GPUDevice;
}

/** A file below the base, in the form that Emscripten's loader takes: in Node a path, elsewhere a URL. */
async function makeLocateFile(base: string): Promise<(name: string) => string> {
  if (!isNode || !base.startsWith('file:')) return (name) => base + name;
  const { fileURLToPath } = await import(/* @vite-ignore */ 'node:url');
  return (name) => fileURLToPath(base + name);
}

/** Throws CrossAttentionError 'ERR_LOAD' where the module cannot be had or does not run here. */
async function createCore(variant: string, options: CoreOptions): Promise<Core> {
  try {
    const { default: create } = await factories[variant]!();
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

async function load(
  options: Required<Pick<InitOptions, 'threads' | 'simd'>>,
  base: string | null,
  gpu: GpuOptions,
): Promise<RuntimeInfo> {
  const simd = await chooseSimd(options.simd);
  const { threads, reason } = await chooseThreads(options.threads);
  const variant = threads > 1 ? `${simd}-threads` : simd;
  const core = await createCore(variant, {
    // One a thread beside the caller's, and one for forwards that are not waited for.
    ...(threads > 1 ? { workers: threads } : {}),
    ...(base === null ? {} : { locateFile: await makeLocateFile(base) }),
  });
  restoreStackAfterErrors(core);
  core.setThreads(threads);
  const found = { simd, threads, threadsReason: reason, version };
  loaded = { core, info: { ...found, device: 'wasm', webgpu: 'being looked for' } };
  const webgpu = await startGpu(gpu, `${version}, ${variant}, ${threads}`);
  const info = Object.freeze<RuntimeInfo>({ ...found, device: deviceFor(gpu.choice), webgpu });
  loaded = { core, info };
  return info;
}

/**
 * Loads the WASM variant that fits this machine. Idempotent: once loaded, every call gives the same RuntimeInfo,
 * whatever its options. Throws ArgumentError for options that cannot be; a failed load may be tried again.
 */
export async function init(options?: InitOptions): Promise<RuntimeInfo> {
  const {
    threads = 'auto',
    simd = 'auto',
    device = 'auto',
    wasmBaseUrl,
    gpuDevice,
    gpuPrecision = 'float32',
  } = checkOptions('options', options);
  const checked = {
    threads: checkThreads(threads),
    simd: checkOneOf('simd', simd, ['auto', 'relaxed', 'baseline']),
  };
  const gpu = {
    choice: checkOneOf('device', device, ['auto', 'wasm', 'webgpu']),
    precision: checkOneOf('gpuPrecision', gpuPrecision, ['float32', 'float16']),
    gpuDevice: checkGpuDevice(gpuDevice),
  };
  const base = checkBaseUrl(wasmBaseUrl);
  loading ??= load(checked, base, gpu).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}
