// Tests of memory leaks: in hundreds of runs (1,000 in `npm run test:full`), the number and bytes of GPU
// buffers and JavaScript's memory do not grow, and dispose frees everything. Buffers are counted in
// createBuffer and destroy, independently of the package.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  compile,
  DiffusionCrossAttention,
  gpuMemoryInUse,
  memoryInUse,
  Tensor,
} from '../support/webgpu_package.mjs';
import { scoped } from '../support/cases.mjs';
import { collectGarbage } from '../support/collect_garbage.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';
import { isFullRun } from '../support/full_run.mjs';

async function measure() {
  await settle();
  collectGarbage();
  await settle();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { buffers: counts.alive, bytes: counts.bytes, wasm: memoryInUse(), heapUsed, arrayBuffers };
}

/** Runs `work` until everything is allocated, then `times` times, and asserts that memory does not grow. */
async function assertNoGrowth(work, times = isFullRun ? 1000 : 300) {
  for (let time = 0; time < 20; ++time) await work();
  const before = await measure();
  for (let time = 0; time < times; ++time) await work();
  const now = await measure();
  for (const name of ['buffers', 'bytes', 'wasm']) assert.equal(now[name], before[name], name);
  // An output has 18 KiB, so a leak of one output in 30 runs is detected. The noise of the heap is about 300
  // KB.
  assert.ok(
    now.arrayBuffers - before.arrayBuffers < 10 * 18432,
    `${now.arrayBuffers - before.arrayBuffers} bytes of arrays`,
  );
  assert.ok(now.heapUsed - before.heapUsed < 1e6, `${now.heapUsed - before.heapUsed} bytes of heap`);
  // All freed buffers were destroyed, not left to garbage collection.
  assert.equal(counts.created - counts.destroyed, counts.alive);
  assert.deepEqual(gpuMemoryInUse(), { buffers: now.buffers, bytes: now.bytes });
}

const makeLayer = () => new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
const input = Tensor.randn([2, 32, 6, 6], { seed: 2 });
const context = Tensor.randn([2, 9, 24], { seed: 3 });
const oneContext = Tensor.randn([1, 5, 24], { seed: 4 });

test('forwards', () =>
  scoped(async (own) => {
    const layer = own(makeLayer());
    await assertNoGrowth(async () => (await layer.forwardAsync(input, context)).dispose());
    assert.match(layer.explain(), /^webgpu/);
  }));

test('runs of a compiled graph', () =>
  scoped(async (own) => {
    const layer = own(makeLayer());
    const inputs = [];
    const output = layer.exportComputationGraph(inputs);
    const constants = new Map([[inputs[1], context]]);
    const graph = own(
      await compile(output, inputs, { inputShapes: [input.shape, context.shape], constants }),
    );
    await assertNoGrowth(async () => (await graph.runAsync(input)).dispose());
    assert.match(graph.explain(), /^webgpu/);
  }));

test('training steps with GPU tensors and alternating sizes', () =>
  scoped(async (own) => {
    const layer = own(makeLayer());
    layer.training = true;
    const resident = own(await input.to('webgpu'));
    const small = own(Tensor.randn([1, 32, 2, 2], { seed: 5 }));
    await assertNoGrowth(
      async () => {
        for (const tensor of [resident, small]) {
          const output = await layer.forwardAsync(tensor, tensor === small ? oneContext : context);
          (await layer.backwardAsync(output)).dispose();
          output.dispose();
        }
        layer.updateParameters(1e-6);
      },
      isFullRun ? 200 : 60,
    );
  }));

test('creating, using and disposing layers', async () => {
  await assertNoGrowth(async () => {
    const layer = makeLayer();
    (await layer.forwardAsync(input, context)).dispose();
    layer.dispose();
    await settle();
  }, 100);
});

after(async () => {
  for (const tensor of [input, context, oneContext]) tensor.dispose();
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.deepEqual(gpuMemoryInUse(), { buffers: 0, bytes: 0 });
  assert.equal(counts.alive, 0);
  assert.ok(counts.created > 1000);
  assertNoUncapturedErrors();
});
