// A short measurement of a device, of transfers and of the WASM core: what the cost model knows.
import type { Strategy } from './recording';
import { checkCall } from './call';
import type { Rates, TransferRates } from './cost_model';
import type { Device } from './device';
import { GpuLayer } from './gpu_layer';
import { possibleTilings } from './matrix';
import type { LayerSizes } from './weights';

/** The layer that is measured: large enough to be more than its latency, small enough for a processor that plays a card. */
function measuredLayer(isSoftware: boolean): { sizes: LayerSizes; tokens: number; keys: number } {
  const queryDim = isSoftware ? 64 : 640;
  const numHeads = isSoftware ? 2 : 8;
  const headDim = queryDim / numHeads;
  const sizes = { queryDim, contextDim: queryDim, numHeads, headDim, scale: headDim ** -0.5 };
  return { sizes, tokens: isSoftware ? 256 : 2048, keys: isSoftware ? 16 : 77 };
}

/** FLOPs of a forward with `keys` keys in each of `sets` contexts. */
export const forwardFlops = (
  { queryDim, contextDim }: Pick<LayerSizes, 'queryDim' | 'contextDim'>,
  batch: number,
  tokens: number,
  sets: number,
  keys: number,
): number => 4 * batch * tokens * queryDim * (queryDim + keys) + 4 * sets * keys * contextDim * queryDim;

/** Slow devices are measured by fewer runs, so that init does not take long. */
const longMilliseconds = 150;

/** The shortest of some runs: what disturbs makes them longer only. */
export async function shortest(runs: number, work: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  const begun = performance.now();
  for (let run = 0; run < runs; ++run) {
    const start = performance.now();
    await work();
    least = Math.min(least, performance.now() - start);
    if (performance.now() - begun > longMilliseconds) break;
  }
  return Math.max(least, 1e-3);
}

const transferBytes = 2 ** 22;

export async function measureTransfers(
  device: Device,
): Promise<{ latency: number; transfer: TransferRates }> {
  const storage = device.memory.createStorage('calibration', transferBytes);
  const values = new Float32Array(transferBytes / 4).fill(1);
  try {
    const latency = await shortest(3, () => device.read(storage.buffer, 0, 16));
    const up = await shortest(3, async () => {
      device.upload(storage.buffer, 0, values);
      await device.read(storage.buffer, 0, 16);
    });
    const down = await shortest(3, () => device.read(storage.buffer, 0, transferBytes));
    const rate = (milliseconds: number): number => transferBytes / Math.max(milliseconds - latency, 0.01);
    return {
      latency,
      transfer: { uploadBytesPerMillisecond: rate(up), downloadBytesPerMillisecond: rate(down) },
    };
  } finally {
    storage.release();
  }
}

/** The fastest strategy of a device and its rate, each tried with a forward whose tensors are on the card. */
export async function measureStrategies(
  device: Device,
  latency: number,
): Promise<{ strategy: Strategy; rates: Rates }> {
  const { sizes, tokens, keys } = measuredLayer(device.isSoftware);
  const { queryDim, contextDim } = sizes;
  const call = checkCall(sizes, [1, queryDim, tokens, 1], [1, keys, contextDim], null);
  const input = device.memory.createStorage('calibration', 4 * queryDim * tokens);
  const context = device.memory.createStorage('calibration', 4 * keys * contextDim);
  const parameters = new Float32Array(2 * queryDim * (queryDim + contextDim) + queryDim);
  const operands = { input: { resident: input.buffer }, context: { resident: context.buffer }, mask: null };
  const state = { version: 0, values: () => parameters };
  const attentions: Strategy['attention'][] = device.isSoftware ? ['parts'] : ['flash', 'parts'];
  let best: { strategy: Strategy; milliseconds: number } | null = null;
  try {
    for (const tilings of possibleTilings(device)) {
      for (const attention of attentions) {
        const strategy = { tilings, attention };
        const layer = new GpuLayer(device, sizes, 'float32', strategy);
        const run = async (): Promise<void> => {
          const { result } = await layer.forward(call, operands, state, { keeps: false, resident: true });
          if (!('storage' in result)) return;
          // The last of its numbers is there when all is done.
          await device.read(result.storage.buffer, 0, 16);
          result.storage.release();
        };
        try {
          await run();
          const milliseconds = await shortest(3, run);
          if (best === null || milliseconds < best.milliseconds) best = { strategy, milliseconds };
        } finally {
          layer.dispose();
        }
      }
    }
  } finally {
    input.release();
    context.release();
  }
  const flops = forwardFlops(sizes, 1, tokens, 1, keys);
  const { strategy, milliseconds } = best!;
  return {
    strategy,
    rates: {
      milliseconds: latency,
      flopsPerMillisecond: flops / Math.max(milliseconds - latency, milliseconds / 10),
    },
  };
}
