// Tests of the scheduler with real measurements: after calibration and some calls of each kind, 'auto'
// chooses a device that is at most 15 % slower than the faster one. The package and the test measure CPU
// time, because the tests' adapter runs on the CPU.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { processorMilliseconds } from '../support/processor_clock.mjs';
import { DiffusionCrossAttention, memoryInUse, Tensor } from '../support/webgpu_package.mjs';
import { scoped } from '../support/cases.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';

/** Measures the median CPU time of `work` on both devices, alternating, in milliseconds. */
async function medianTimes(work, count = 9) {
  const times = { wasm: [], webgpu: [] };
  for (let round = 0; round < count; ++round) {
    for (const [device, samples] of Object.entries(times)) {
      const start = processorMilliseconds();
      await work(device);
      samples.push(processorMilliseconds() - start);
    }
  }
  const median = (samples) => samples.sort((left, right) => left - right)[count >> 1];
  return { wasm: median(times.wasm), webgpu: median(times.webgpu) };
}

/** Matches the explanation of a choice that is neither a trial nor made before the device was ready. */
const isJudged = /measured to be faster|faster than predicted for the other device/;
const maxTrials = 50;

const shapes = [
  { name: 'few tokens', size: 4, queryDim: 32, keys: 4 },
  { name: 'many channels', size: 8, queryDim: 320, keys: 77 },
  { name: 'many tokens', size: 32, queryDim: 64, keys: 16 },
  { name: 'GPU tensor', size: 16, queryDim: 128, keys: 77, resident: true },
];

for (const { name, size, queryDim, keys, resident = false } of shapes) {
  test(`${name}: ${queryDim} channels, ${size} × ${size}, ${keys} keys`, () =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(queryDim, queryDim, 4, size, { seed: 1 }));
      const wasmInput = own(Tensor.randn([1, queryDim, size, size], { seed: 2 }));
      const input = resident ? own(await wasmInput.to('webgpu')) : wasmInput;
      const context = own(Tensor.randn([1, keys, queryDim], { seed: 3 }));
      const run = async (device) => {
        const output = await layer.forwardAsync(input, context, { device });
        await output.dataAsync();
        output.dispose();
      };
      // The scheduler tries each device in turn until it knows both times, or one predicted time is far
      // larger. The package records the time of a call when the device has finished it, after the result is
      // available, so the number of trials varies.
      for (let count = 0; count < maxTrials; ++count) {
        await run('auto');
        await settle();
        if (isJudged.test(layer.explain())) break;
      }
      assert.match(layer.explain(), isJudged);
      const explanation = layer.explain();
      const device = explanation.startsWith('webgpu') ? 'webgpu' : 'wasm';
      // CPU times are noisy; the choice is wrong only if the device is slower in each round.
      const ratios = [];
      for (let round = 0; round < 3; ++round) {
        const times = await medianTimes(run);
        ratios.push(times[device] / Math.min(times.wasm, times.webgpu));
        if (ratios.at(-1) <= 1.15) break;
      }
      assert.ok(Math.min(...ratios) <= 1.15, `${device} is slower: ${ratios.join(', ')} ×. ${explanation}`);
      assert.match(explanation, /wasm: [\d.]+ ms measured|webgpu: [\d.]+ ms measured/);
    }));
}

after(async () => {
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});
