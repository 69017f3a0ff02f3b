// A call computes with the values at the time at which it was made, on any device, and if the GPU fails.
import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  compile,
  devices,
  DiffusionCrossAttention,
  gpuMemoryInUse,
  memoryInUse,
  Tensor,
} from '../support/webgpu_package.mjs';
import { runs } from '../support/arbitraries.mjs';
import { scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { installManualClock } from '../support/manual_clock.mjs';
import { play, programs } from '../support/moments.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';
import { failPipelines } from '../support/webgpu_faults.mjs';

/** The clock of the pauses after failures. */
const clock = installManualClock();
const assertNear = (actual, expected, what) =>
  assertClose(actual, expected, 1e-4 * maximumMagnitude(expected), what);

/** Ends the pause after a failure, and waits for a new device. */
async function waitForGpu() {
  for (const end = process.uptime() + 60; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    clock.advance(60_000);
    const tensor = Tensor.zeros([1]);
    const moved = await tensor.to('webgpu').catch(() => null);
    tensor.dispose();
    moved?.dispose();
    if (moved !== null) return;
    assert.ok(process.uptime() < end, 'no device after a minute');
  }
}

afterEach(async () => {
  await waitForGpu();
  await settle();
  assert.equal(memoryInUse(), 0, 'the test leaks memory');
  assert.deepEqual([gpuMemoryInUse().buffers, counts.alive], [0, 0], 'the test leaks GPU memory');
});
after(assertNoUncapturedErrors);

describe('random programs', () => {
  const everywhere = { devices: ['wasm', 'webgpu', 'auto'], locations: ['wasm', 'webgpu'] };
  const check = (arbitrary, options) =>
    fc.assert(
      fc.asyncProperty(arbitrary, (program) =>
        scoped((own) => play(program, { own, compare: assertNear, ...options })),
      ),
      runs(isFullRun ? 200 : 12),
    );

  test('on both devices', () => check(programs(everywhere)));

  test('the device fails after every third call', async () => {
    let calls = 0;
    const onCall = () => {
      clock.advance(60_000);
      if (++calls % 3 !== 0) return;
      const end = failPipelines(devices.at(-1));
      setImmediate(end);
      if (calls % 9 === 0) devices.at(-1).destroy();
    };
    await check(programs({ ...everywhere, locations: ['wasm'] }), { onCall });
    assert.ok(devices.length > 1, 'no device was lost');
  });
});

describe('forwardAsync in WebAssembly', () => {
  const withLayer = (work) =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
      const input = own(Tensor.randn([2, 32, 6, 6], { seed: 2 }));
      const context = own(Tensor.randn([2, 9, 24], { seed: 3 }));
      const expected = own(layer.forwardWithContext(input, context)).data();
      const bias = own(Tensor.full([32], 5));
      await work({ layer, input, context, expected, bias, own });
    });

  for (const location of ['wasm', 'webgpu']) {
    test(`the parameters change, a tensor in ${location}`, () =>
      withLayer(async ({ layer, input, context, expected, bias, own }) => {
        const tensor = own(await input.to(location));
        const pending = layer.forwardAsync(tensor, context, { device: 'wasm', location: 'wasm' });
        layer.setParameter('to_out.0.bias', bias);
        assertSameBits(own(await pending).data(), expected, 'output');
      }));
    test(`the layer is disposed, a tensor in ${location}`, () =>
      withLayer(async ({ layer, input, context, expected, own }) => {
        const tensor = own(await input.to(location));
        const pending = layer.forwardAsync(tensor, context, { device: 'wasm', location: 'wasm' });
        for (const owner of [tensor, context, layer]) owner.dispose();
        assertSameBits(own(await pending).data(), expected, 'output');
      }));
  }

  test('a call that fails on the GPU after the parameters changed and the layer was disposed', () =>
    withLayer(async ({ layer, input, context, expected, bias, own }) => {
      const end = failPipelines(devices.at(-1));
      // Another shape, so that the pipelines are not compiled yet.
      const pending = layer.forwardAsync(input, context, { device: 'webgpu' });
      layer.setParameter('to_out.0.bias', bias);
      layer.dispose();
      devices.at(-1).destroy();
      assertSameBits(own(await pending).data(), expected, 'output');
      end();
    }));

  test('a run of a compiled graph that fails on the GPU after dispose', () =>
    withLayer(async ({ layer, input, context, expected, own }) => {
      const nodes = [];
      const output = layer.exportComputationGraph(nodes);
      const constants = new Map([[nodes[1], context]]);
      const inputShapes = [input.shape, context.shape];
      const graph = own(await compile(output, nodes, { inputShapes, constants, device: 'webgpu' }));
      const pending = graph.runAsync(input);
      devices.at(-1).destroy();
      for (const owner of [graph, layer, context, input]) owner.dispose();
      assertNear(own(await pending).data(), expected, 'output');
    }));
});

test('a compiled graph computes with its constants at the time of compile and refresh', () =>
  scoped(async (own) => {
    const layer = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
    const input = own(Tensor.randn([2, 32, 6, 6], { seed: 2 }));
    const context = own(Tensor.randn([2, 9, 24], { seed: 3 }));
    const other = own(Tensor.randn([2, 9, 24], { seed: 4 }));
    const nodes = [];
    const output = layer.exportComputationGraph(nodes);
    const constants = new Map([[nodes[1], context]]);
    const inputShapes = [input.shape, context.shape];
    const graph = own(await compile(output, nodes, { inputShapes, constants, device: 'webgpu' }));
    const before = own(layer.forwardWithContext(input, context)).data();
    context.view().set(other.data());
    assertNear(own(await graph.runAsync(input)).data(), before, 'before refresh');
    context.dispose();
    graph.refresh();
    assertNear(
      own(await graph.runAsync(input)).data(),
      own(layer.forwardWithContext(input, other)).data(),
      'after refresh',
    );
  }));

describe('backwardAsync', () => {
  const withForward = (work) =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
      const [input, other, gradient] = [2, 3, 4].map((seed) => own(Tensor.randn([2, 32, 6, 6], { seed })));
      const context = own(Tensor.randn([2, 9, 24], { seed: 5 }));
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      const expected = own(layer.backward(gradient)).data();
      const expectedParameters = layer.getParameterGradients();
      layer.clearGradients();
      own(await layer.forwardAsync(input, context, { device: 'webgpu' }));
      await work({ layer, other, gradient, context, expected, expectedParameters, own });
    });

  for (const device of ['webgpu', 'wasm']) {
    test(`a later forward and a change of the parameters do not affect it, device ${device}`, () =>
      withForward(async ({ layer, other, gradient, context, expected, expectedParameters, own }) => {
        const onGpu = own(await gradient.to('webgpu'));
        const pending = layer.backwardAsync(onGpu, { device, location: 'wasm' });
        own(layer.forwardWithContext(other, context));
        layer.setParameters(new Float32Array(layer.parameterCount));
        assertNear(own(await pending).data(), expected, 'gradient');
        assertNear(layer.getParameterGradients(), expectedParameters, 'parameters');
      }));
    test(`clearGradients and dispose, device ${device}`, () =>
      withForward(async ({ layer, gradient, expected, own }) => {
        const onGpu = own(await gradient.to('webgpu'));
        const cleared = layer.backwardAsync(onGpu, { device, location: 'wasm' });
        layer.clearGradients();
        own(await cleared);
        assert.ok(layer.getParameterGradients().every((value) => value === 0));
        const pending = layer.backwardAsync(onGpu, { device, location: 'wasm' });
        layer.dispose();
        assertNear(own(await pending).data(), expected, 'gradient');
      }));
  }

  test('a training forward that is forgotten by resetState while it is in progress', () =>
    withForward(async ({ layer, other, gradient, context, own }) => {
      const pending = layer.forwardAsync(other, context, { device: 'webgpu' });
      layer.resetState();
      own(await pending);
      await assert.rejects(() => layer.backwardAsync(gradient), /without a training forward/);
    }));
});
