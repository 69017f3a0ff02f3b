// The real thing: after calibration and some calls of each kind, 'auto' takes the device that is the faster one, whatever
// the kind of call; never one that is slower by more than 15 %.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { DiffusionCrossAttention, memoryInUse, Tensor } from '../support/webgpu_package.mjs';
import { scoped } from '../support/cases.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';

/** The median of some runs' times. */
async function medianTime(run, count = 9) {
  const times = [];
  for (let number = 0; number < count; ++number) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((left, right) => left - right)[count >> 1];
}

const shapes = [
  { name: 'few tokens', size: 4, queryDim: 32, keys: 4 },
  { name: 'many channels', size: 8, queryDim: 320, keys: 77 },
  { name: 'many tokens', size: 32, queryDim: 64, keys: 16 },
  { name: 'on the card', size: 16, queryDim: 128, keys: 77, resident: true },
];

for (const { name, size, queryDim, keys, resident = false } of shapes) {
  test(`${name}: ${queryDim} channels, ${size} × ${size}, ${keys} keys`, () =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(queryDim, queryDim, 4, size, { seed: 1 }));
      const there = own(Tensor.randn([1, queryDim, size, size], { seed: 2 }));
      const input = resident ? own(await there.to('webgpu')) : there;
      const context = own(Tensor.randn([1, keys, queryDim], { seed: 3 }));
      const run = async (device) => {
        const output = await layer.forwardAsync(input, context, { device });
        await output.dataAsync();
        output.dispose();
      };
      // A first call and three more of each device, and then what follows from them.
      for (let count = 0; count < 12; ++count) await run('auto');
      const chosen = layer.explain();
      const device = chosen.startsWith('webgpu') ? 'webgpu' : 'wasm';
      // Other programs disturb: what counts is that it is not slower each time.
      const ratios = [];
      for (let round = 0; round < 3; ++round) {
        const times = {
          wasm: await medianTime(() => run('wasm')),
          webgpu: await medianTime(() => run('webgpu')),
        };
        ratios.push(times[device] / Math.min(times.wasm, times.webgpu));
        if (ratios.at(-1) <= 1.15) break;
      }
      assert.ok(Math.min(...ratios) <= 1.15, `${device} was slower ${ratios.join(', ')} times: ${chosen}`);
      assert.match(chosen, /wasm: [\d.]+ ms measured|webgpu: [\d.]+ ms measured/);
    }));
}

after(async () => {
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});
