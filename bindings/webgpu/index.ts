/**
 * WebGPU for diffusion-cross-attention. Loaded by `init` where there may be a graphics card; nothing of it is called by users.
 *
 * @packageDocumentation
 */
import type { StartAccelerator } from '../package/accelerator';
import { messageOf } from '../package/errors';
import { DiffusionCrossAttention } from '../package/layer';
import { Tensor } from '../package/tensor';
import { WebGpuAccelerator } from './accelerator';
import { forwardFlops, measureStrategies, measureTransfers, shortest } from './calibrate';
import { loadCalibration, storeCalibration, type StoredCalibration } from './calibration_store';
import type { Rates } from './cost_model';
import { Device } from './device';
import { DeviceKeeper, type ReadyDevice, requestDevice } from './device_keeper';
import { Scheduler } from './scheduler';

export * as forTests from './for_tests';

/** The rate of the WASM core: of a layer of a million parameters. */
async function measureCore(): Promise<Rates> {
  const [queryDim, tokens, keys] = [320, 256, 77];
  const layer = new DiffusionCrossAttention(queryDim, queryDim, 8, 16, { seed: 1 });
  const input = Tensor.zeros([1, queryDim, tokens, 1]);
  const context = Tensor.zeros([1, keys, queryDim]);
  try {
    const run = async (): Promise<void> => layer.forwardWithContext(input, context).dispose();
    await run();
    const milliseconds = await shortest(3, run);
    const flops = forwardFlops(layer, 1, tokens, 1, keys);
    return { milliseconds: 0.05, flopsPerMillisecond: flops / milliseconds };
  } finally {
    for (const owner of [layer, input, context]) owner.dispose();
  }
}

async function calibrate(device: Device): Promise<StoredCalibration> {
  const { latency, transfer } = await measureTransfers(device);
  const { strategy, rates } = await measureStrategies(device, latency);
  const wasm = await measureCore();
  return { calibration: { wasm, webgpu: rates, transfer }, strategy, measuredAt: Date.now() };
}

/** A device with its calibration, measured unless the page's storage has it; else why there is none. Never throws. */
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
    // The next attempt takes another one.
    if (isOwn) device.gpu.destroy();
    return `${device.description}: ${messageOf(error)}`;
  }
}

export const start: StartAccelerator = async ({ choice, precision, gpuDevice, core }) => {
  const request = (): Promise<Device | string> => requestDevice(globalThis.navigator?.gpu);
  const device = gpuDevice === undefined ? await request() : new Device(gpuDevice);
  const isOwn = gpuDevice === undefined;
  if (choice === 'auto' && isOwn) {
    // Nobody asked for a graphics card: what is missing is not looked for at every call.
    if (typeof device === 'string') return { accelerator: null, description: device };
    if (device.isSoftware) {
      device.gpu.destroy();
      const description = `${device.description}: a processor, which does better in WebAssembly`;
      return { accelerator: null, description };
    }
  }
  const ready = await makeReady(device, core, isOwn);
  const renew = isOwn
    ? async (): Promise<ReadyDevice | string> => makeReady(await request(), core, isOwn)
    : null;
  const description = typeof ready === 'string' ? ready : ready.device.description;
  const keeper = new DeviceKeeper(ready, renew);
  return { accelerator: new WebGpuAccelerator(keeper, choice, precision), description };
};
