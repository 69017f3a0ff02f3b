// Loading the WebAssembly core and starting the GPU.
import type { DeviceChoice, StartAccelerator } from './accelerator';
import { checkOneOf, fail, read, readOptions } from './checks';
import type { Core } from './core';
import { accelerator, setAccelerator } from './current_accelerator';
import { messageOf } from './errors';
import type { UsersDevice } from './platform_types';
import {
  checkModuleOptions,
  moduleOptionNames,
  type CheckedModuleOptions,
  type ModuleInfo,
  type ModuleOptions,
} from './module_options';
import type { Location } from './resident';
import { type RuntimeInfo, setRuntime } from './runtime';
import { withLimit } from './time_limit';

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

let loading: Promise<RuntimeInfo> | null = null;

function checkGpuDevice(gpuDevice: unknown): GPUDevice | undefined {
  if (gpuDevice === undefined || gpuDevice === null) return undefined;
  if (read('gpuDevice', () => typeof (gpuDevice as GPUDevice).createBuffer) !== 'function') {
    fail('gpuDevice', gpuDevice, 'a GPUDevice');
  }
  return gpuDevice as GPUDevice;
}

interface GpuOptions {
  choice: DeviceChoice;
  precision: 'float32' | 'float16';
  gpuDevice: UsersDevice | undefined;
}

/** Imports the module of WebGPU. */
export type LoadGpu = () => Promise<{ start: StartAccelerator }>;

/** Limit of the wait for the module, in seconds. */
const maxWait = 10;

/** Starts WebGPU if it may be available. Returns the adapter's description, or why WebGPU is not used. */
async function startGpu(
  loadGpu: LoadGpu | null,
  { choice, precision, gpuDevice }: GpuOptions,
  core: string,
): Promise<string> {
  if (loadGpu === null) return 'this entry has no WebGPU';
  if (choice === 'wasm') return "not requested: device is 'wasm'";
  try {
    if (gpuDevice === undefined && !globalThis.navigator?.gpu) return 'navigator.gpu is undefined';
    const { start } = await withLimit(maxWait, 'it did not arrive', loadGpu());
    const started = await start({ choice, precision, gpuDevice, core });
    setAccelerator(started.accelerator);
    return started.description;
  } catch (error) {
    return `it could not be started: ${messageOf(error)}`;
  }
}

function defaultDevice(choice: DeviceChoice): Location {
  const gpu = accelerator();
  if (gpu === null || !gpu.isAvailable) return 'wasm';
  return choice === 'webgpu' ? 'webgpu' : gpu.preferred;
}

/** Loads the core, with exceptions of the package. */
export type LoadCore = (options: CheckedModuleOptions) => Promise<{ core: Core; info: ModuleInfo }>;

/** The function `init` of the package's entries. */
export type Init = (options?: InitOptions) => Promise<RuntimeInfo>;

/** Returns the `init` of an entry. */
export function makeInit(loadCore: LoadCore, loadGpu: LoadGpu | null): Init {
  async function load(options: CheckedModuleOptions, gpu: GpuOptions): Promise<RuntimeInfo> {
    const { core, info: found } = await loadCore(options);
    const known = { ...found, version: packageVersion };
    // The GPU's calibration runs layers, which need the core.
    setRuntime(core, { ...known, device: 'wasm', webgpu: 'starting' });
    const webgpu = await startGpu(loadGpu, gpu, `${packageVersion}, ${found.simd}, ${found.threads}`);
    const info = Object.freeze<RuntimeInfo>({ ...known, device: defaultDevice(gpu.choice), webgpu });
    setRuntime(core, info);
    return info;
  }

  return async (options) => {
    const given = readOptions('options', options, [
      ...moduleOptionNames,
      'device',
      'gpuDevice',
      'gpuPrecision',
    ]);
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
  };
}
