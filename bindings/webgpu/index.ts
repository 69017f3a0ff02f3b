/**
 * WebGPU for diffusion-cross-attention. `init` loads this module if there may be a GPU; users call nothing of
 * it.
 *
 * @packageDocumentation
 */
import type { StartAccelerator } from '../package/accelerator';
import { messageOf } from '../package/errors';
import { DiffusionCrossAttention } from '../package/layer';
import { Tensor } from '../package/tensor';
import { withLimit } from '../package/time_limit';
import { WebGpuAccelerator } from './accelerator';
import { maxCalibration, measureStrategies, measureTransfers, minMilliseconds } from './calibrate';
import { loadCalibration, storeCalibration, type StoredCalibration } from './calibration_store';
import { callSizes } from './call';
import { forwardFlops } from './cost';
import type { Rates } from './cost_model';
import { Device } from './device';
import { DeviceManager, type ReadyDevice, requestDevice } from './device_manager';
import { plainLayer } from './layer_support';
import { Scheduler } from './scheduler';

/** Measures the WASM core with a layer of a million parameters. */
async function measureCore(): Promise<Rates> {
  const [queryDim, tokens, keys] = [320, 256, 77];
  const layer = new DiffusionCrossAttention(queryDim, queryDim, 8, 16, { seed: 1 });
  const input = Tensor.zeros([1, queryDim, tokens, 1]);
  const context = Tensor.zeros([1, keys, queryDim]);
  try {
    const run = async (): Promise<void> => layer.forwardWithContext(input, context).dispose();
    await run();
    const milliseconds = await minMilliseconds(3, run);
    const sizes = plainLayer(queryDim, queryDim, 8);
    const flops = forwardFlops(sizes, callSizes(sizes, input.shape, context.shape, null));
    return { milliseconds: 0.05, flopsPerMillisecond: flops / milliseconds };
  } finally {
    for (const owner of [layer, input, context]) owner.dispose();
  }
}

async function calibrate(device: Device): Promise<StoredCalibration> {
  const { latency, transfer } = await measureTransfers(device);
  const { strategy, sizes, call, milliseconds } = await measureStrategies(device);
  const computing = Math.max(milliseconds - latency, milliseconds / 10);
  const webgpu = { milliseconds: latency, flopsPerMillisecond: forwardFlops(sizes, call) / computing };
  const wasm = await measureCore();
  return { calibration: { wasm, webgpu, transfer }, strategy, measuredAt: Date.now() };
}

/**
 * Calibrates a device, or loads its calibration from the page's storage. Resolves to the reason if there is
 * no device or it fails. Never throws. `isOwn`: false for a device of the user.
 */
async function makeReady(
  device: Device | string,
  core: string,
  isOwn: boolean,
): Promise<ReadyDevice | string> {
  if (typeof device === 'string') return device;
  try {
    const key = `diffusion-cross-attention: ${device.description}, ${core}`;
    const find = async (): Promise<StoredCalibration> => {
      const stored = (await loadCalibration(key)) ?? (await calibrate(device));
      await storeCalibration(key, stored);
      return stored;
    };
    const stored = await withLimit(maxCalibration, 'its calibration did not end', find());
    return { device, strategy: stored.strategy, scheduler: new Scheduler(stored.calibration) };
  } catch (error) {
    // The next attempt requests another device.
    if (isOwn) device.gpu.destroy();
    return `${device.description}: ${messageOf(error)}`;
  }
}

export const start: StartAccelerator = async ({ choice, precision, gpuDevice, core }) => {
  const isOwn = gpuDevice === undefined;
  let software: string | null = null;
  const find = async (): Promise<ReadyDevice | string> => {
    if (software !== null) return software;
    const device = isOwn ? await requestDevice() : new Device(gpuDevice);
    if (typeof device !== 'string' && isOwn && choice === 'auto' && device.isSoftware) {
      device.gpu.destroy();
      software = `${device.description}: a software adapter, which is slower than WebAssembly`;
      return software;
    }
    return makeReady(device, core, isOwn);
  };
  const ready = await find();
  // The user did not ask for WebGPU: calls don't look for another adapter. An adapter that was not provided,
  // in contrast, may be later: a browser's GPU process may be starting, or restarting after a crash.
  if (software !== null) return { accelerator: null, description: software };
  const description = typeof ready === 'string' ? ready : ready.device.description;
  const devices = new DeviceManager(ready, isOwn ? find : null);
  return { accelerator: new WebGpuAccelerator(devices, choice, precision), description };
};
