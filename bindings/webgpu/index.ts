/**
 * WebGPU for diffusion-cross-attention. Loaded by `init` where there may be a graphics card; nothing of it is called by users.
 *
 * @packageDocumentation
 */
import type { StartAccelerator } from '../package/accelerator';
import { DiffusionCrossAttention } from '../package/layer';
import { Tensor } from '../package/tensor';
import { WebGpuAccelerator } from './accelerator';
import { forwardFlops, measureStrategies, measureTransfers, shortest } from './calibrate';
import { loadCalibration, storeCalibration, type StoredCalibration } from './calibration_store';
import type { Rates } from './cost_model';
import { Device } from './device';
import { DeviceKeeper, requestDevice } from './device_keeper';

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

export const start: StartAccelerator = async ({ choice, precision, gpuDevice, core }) => {
  const renew = (): Promise<Device | string> => requestDevice(globalThis.navigator?.gpu);
  try {
    const device = gpuDevice === undefined ? await renew() : new Device(gpuDevice);
    if (typeof device === 'string') return { accelerator: null, description: device };
    const { description } = device;
    if (choice === 'auto' && device.isSoftware && gpuDevice === undefined) {
      device.gpu.destroy();
      return {
        accelerator: null,
        description: `${description}: a processor, which does better in WebAssembly`,
      };
    }
    const key = `diffusion-cross-attention: ${description}, ${core}`;
    const stored = (await loadCalibration(key)) ?? (await calibrate(device));
    await storeCalibration(key, stored);
    const keeper = new DeviceKeeper(device, gpuDevice === undefined ? renew : null);
    return {
      accelerator: new WebGpuAccelerator(keeper, stored, description, choice, precision),
      description,
    };
  } catch (error) {
    return { accelerator: null, description: error instanceof Error ? error.message : String(error) };
  }
};
