// Short measurements of a device and of transfers, for the cost model.
import { type CallSizes, callSizes } from './call';
import type { TransferRates } from './cost_model';
import type { Device } from './device';
import { GpuLayer } from './gpu_layer';
import { possibleTilings } from './matrix';
import { plainLayer } from './layer_support';
import type { Strategy } from './recording';
import type { LayerSizes } from '../package/accelerator';

/** Returns the measured layer: its time is well above the latency, and a software adapter is not slow. */
function measuredLayer(isSoftware: boolean): { sizes: LayerSizes; tokens: number; keys: number } {
  const queryDim = isSoftware ? 64 : 640;
  const numHeads = isSoftware ? 2 : 8;
  const sizes = plainLayer(queryDim, queryDim, numHeads);
  return { sizes, tokens: isSoftware ? 256 : 2048, keys: isSoftware ? 16 : 77 };
}

/** After this time no further run is measured, so that `init` is fast on slow devices. */
const maxMeasuringMilliseconds = 150;

/** Limit of a calibration in seconds. A working device needs less than 1 s. */
export const maxCalibration = 10;

/** Resolves to the shortest time of up to `runs` runs: disturbances only make a run longer. */
export async function minMilliseconds(runs: number, work: () => Promise<unknown>): Promise<number> {
  let min = Infinity;
  const firstStart = performance.now();
  for (let run = 0; run < runs; ++run) {
    const start = performance.now();
    await work();
    min = Math.min(min, performance.now() - start);
    if (performance.now() - firstStart > maxMeasuringMilliseconds) break;
  }
  return Math.max(min, 1e-3);
}

const transferBytes = 2 ** 22;

/** Measures the latency of a call, in milliseconds, and the speed of transfers. */
export async function measureTransfers(
  device: Device,
): Promise<{ latency: number; transfer: TransferRates }> {
  const storage = device.memory.createStorage('calibration', transferBytes);
  const values = new Float32Array(transferBytes / 4).fill(1);
  try {
    const latency = await minMilliseconds(3, () => device.read(storage.buffer, 0, 16));
    const up = await minMilliseconds(3, async () => {
      device.upload(storage.buffer, 0, values);
      await device.read(storage.buffer, 0, 16);
    });
    const down = await minMilliseconds(3, () => device.read(storage.buffer, 0, transferBytes));
    const rate = (milliseconds: number): number => transferBytes / Math.max(milliseconds - latency, 0.01);
    return {
      latency,
      transfer: { uploadBytesPerMillisecond: rate(up), downloadBytesPerMillisecond: rate(down) },
    };
  } finally {
    storage.release();
  }
}

export interface FastestStrategy {
  strategy: Strategy;
  /** The measured layer and call. */
  sizes: LayerSizes;
  call: CallSizes;
  milliseconds: number;
}

/** Finds the fastest strategy of a device. Each is measured with a forward pass of resident tensors. */
export async function measureStrategies(device: Device): Promise<FastestStrategy> {
  const { sizes, tokens, keys } = measuredLayer(device.isSoftware);
  const { queryDim, contextDim } = sizes;
  const call = callSizes(sizes, [1, queryDim, tokens, 1], [1, keys, contextDim], null);
  const input = device.memory.createStorage('calibration', 4 * queryDim * tokens);
  const context = device.memory.createStorage('calibration', 4 * keys * contextDim);
  const values = new Float32Array(2 * queryDim * (queryDim + contextDim) + queryDim);
  const operands = { input: { resident: input.buffer }, context: { resident: context.buffer }, mask: null };
  const parameters = { version: 0, values: () => values };
  const attentions: Strategy['attention'][] = device.isSoftware ? ['parts'] : ['flash', 'parts'];
  let best: FastestStrategy | null = null;
  try {
    for (const tilings of possibleTilings(device)) {
      for (const attention of attentions) {
        const strategy = { tilings, attention };
        const layer = new GpuLayer(device, sizes, 'float32', strategy);
        const run = async (): Promise<void> => {
          const options = { training: false, resident: true };
          const { result } = await layer.forward(call, operands, parameters, options);
          if (!('storage' in result)) return;
          // Reading waits until the output is complete.
          await device.read(result.storage.buffer, 0, 16);
          result.storage.release();
        };
        try {
          await run();
          const milliseconds = await minMilliseconds(3, run);
          if (best === null || milliseconds < best.milliseconds) {
            best = { strategy, sizes, call, milliseconds };
          }
        } finally {
          layer.release();
        }
      }
    }
  } finally {
    input.release();
    context.release();
  }
  return best!;
}
