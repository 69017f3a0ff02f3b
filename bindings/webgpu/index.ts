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
import { WebGpuAccelerator } from './accelerator';
import { measureStrategies, measureTransfers, minMilliseconds } from './calibrate';
import { loadCalibration, storeCalibration, type StoredCalibration } from './calibration_store';
import { callSizes } from './call';
import { forwardFlops } from './cost';
import type { Rates } from './cost_model';
import { Device } from './device';
import { DeviceManager, type ReadyDevice, requestDevice } from './device_manager';
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
    const flops = forwardFlops(layer, callSizes(layer, input.shape, context.shape, null));
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
    const stored = (await loadCalibration(key)) ?? (await calibrate(device));
    await storeCalibration(key, stored);
    return { device, strategy: stored.strategy, scheduler: new Scheduler(stored.calibration) };
  } catch (error) {
    // The next attempt requests another device.
    if (isOwn) device.gpu.destroy();
    return `${device.description}: ${messageOf(error)}`;
  }
}

export const start: StartAccelerator = async ({ choice, precision, gpuDevice, core }) => {
  const request = (): Promise<Device | string> => requestDevice(globalThis.navigator?.gpu);
  const device = gpuDevice === undefined ? await request() : new Device(gpuDevice);
  const isOwn = gpuDevice === undefined;
  if (choice === 'auto' && isOwn) {
    // The user did not ask for WebGPU: without a GPU, calls don't look for one again.
    if (typeof device === 'string') return { accelerator: null, description: device };
    if (device.isSoftware) {
      device.gpu.destroy();
      const description = `${device.description}: a software adapter, which is slower than WebAssembly`;
      return { accelerator: null, description };
    }
  }
  const ready = await makeReady(device, core, isOwn);
  const renew = isOwn
    ? async (): Promise<ReadyDevice | string> => makeReady(await request(), core, isOwn)
    : null;
  const description = typeof ready === 'string' ? ready : ready.device.description;
  const devices = new DeviceManager(ready, renew);
  return { accelerator: new WebGpuAccelerator(devices, choice, precision), description };
};
