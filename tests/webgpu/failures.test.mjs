// Tests of device failures: the call falls back to WebAssembly with correct results, diagnostics report the
// reason, and later calls use the GPU again.
import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import {
  compile,
  devices,
  DiffusionCrossAttention,
  gpuMemoryInUse,
  memoryInUse,
  Tensor,
} from '../support/webgpu_package.mjs';
import { scoped } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { installManualClock } from '../support/manual_clock.mjs';
import { assertNoUncapturedErrors, counts, installNavigatorGpu, settle } from '../support/webgpu.mjs';
import { failBuffer, failPipelines } from '../support/webgpu_faults.mjs';

const layer = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
const input = Tensor.randn([2, 32, 6, 6], { seed: 2 });
const context = Tensor.randn([2, 9, 24], { seed: 3 });
const outputGradient = Tensor.randn([2, 32, 6, 6], { seed: 4 });
const expected = layer.forwardWithContext(input, context).data();
const lost = /device.* lost/;

const device = () => devices.at(-1);
const assertNear = (actual, reference = expected) =>
  assertClose(actual, reference, 1e-4 * maximumMagnitude(reference), 'output');
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The clock of the pauses after failures. */
const clock = installManualClock();
/** The longest pause, in milliseconds. */
const maxPause = 60_000;

async function forward() {
  const output = await layer.forwardAsync(input, context);
  assertNear(output.data());
  output.dispose();
}

/** Ends the pause after a failure, and repeats a forward until it runs on the GPU. */
async function waitForGpu() {
  clock.advance(maxPause);
  await eventually(async () => {
    await forward();
    return layer.explain().startsWith('webgpu');
  });
}

/** Waits until a condition is true. Throws after a minute. */
async function eventually(condition) {
  for (const end = process.uptime() + 60; !(await condition()); await pause(20))
    assert.ok(process.uptime() < end, `never true: ${condition}; ${layer.explain()}`);
}

/** Computes the gradients in WebAssembly. */
function gradientsInWasm() {
  layer.training = true;
  layer.clearGradients();
  layer.forwardWithContext(input, context).dispose();
  const gradient = layer.backward(outputGradient);
  const gradients = [gradient.data(), layer.getParameterGradients(), layer.contextGradient.data()];
  gradient.dispose();
  layer.clearGradients();
  layer.training = false;
  return gradients;
}

beforeEach(() => waitForGpu());
afterEach(() => {
  layer.training = false;
  layer.resetState();
  layer.clearGradients();
  installNavigatorGpu({ onDevice: (made) => devices.push(made) });
  assertNoUncapturedErrors();
});

const assertReports = (reason) => {
  const { webgpuState, lastCall } = layer.getDiagnostics();
  assert.match(webgpuState, /^not in use: /);
  assert.match(webgpuState, reason);
  assert.match(lastCall, /^wasm: /);
  assert.match(lastCall, reason);
  assert.equal(layer.explain(), lastCall);
};

describe('device lost', () => {
  test('before a call', async () => {
    device().destroy();
    const output = await layer.forwardAsync(input, context);
    assertNear(output.data());
    output.dispose();
    assertReports(lost);
  });

  test('during a call whose tensors are disposed', () =>
    scoped(async (own) => {
      const [ownInput, ownContext] = [input.clone(), context.clone()];
      const running = layer.forwardAsync(ownInput, ownContext);
      ownInput.dispose();
      ownContext.dispose();
      device().destroy();
      const output = own(await running);
      assert.equal(output.location, 'wasm');
      assertNear(output.data());
      assertReports(lost);
    }));

  test('during concurrent calls', () =>
    scoped(async (own) => {
      const running = [1, 2, 3].map(() => layer.forwardAsync(input, context));
      await pause(1);
      device().destroy();
      for (const output of await Promise.all(running)) assertNear(own(output).data());
    }));

  for (const when of ['before', 'during']) {
    test(`${when} a backward`, () =>
      scoped(async (own) => {
        const gradients = gradientsInWasm();
        layer.training = true;
        own(await layer.forwardAsync(input, context));
        if (when === 'before') device().destroy();
        const running = layer.backwardAsync(outputGradient);
        if (when === 'during') device().destroy();
        const gradient = own(await running);
        assertNear(gradient.data(), gradients[0]);
        assertNear(layer.getParameterGradients(), gradients[1]);
        assertNear(layer.contextGradient.data(), gradients[2]);
      }));
  }

  test('during a run of a compiled graph', () =>
    scoped(async (own) => {
      const inputs = [];
      const output = layer.exportComputationGraph(inputs);
      const constants = new Map([[inputs[1], context]]);
      const graph = own(
        await compile(output, inputs, { inputShapes: [input.shape, context.shape], constants }),
      );
      assertNear(own(await graph.runAsync(input)).data());
      const running = graph.runAsync(input);
      device().destroy();
      assertNear(own(await running).data());
      assert.match(graph.explain(), lost);
      await waitForGpu();
      assertNear(own(await graph.runAsync(input)).data());
      assert.match(graph.explain(), /^webgpu/);
    }));

  test('tensors on the device reject with DeviceError', () =>
    scoped(async (own) => {
      const resident = own(await input.to('webgpu'));
      device().destroy();
      await settle();
      await assert.rejects(resident.dataAsync(), { code: 'ERR_DEVICE', message: lost });
      await assert.rejects(layer.forwardAsync(resident, context), { code: 'ERR_DEVICE', message: lost });
    }));
});

describe('out of memory', () => {
  test('for each buffer of a forward whose output is on the GPU', async () => {
    const labels = [];
    for (let index = 0; ; ++index) {
      const other = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
      const fault = failBuffer(device(), index);
      const output = await other.forwardAsync(input, context, { location: 'webgpu' });
      fault.end();
      assertNear(await output.dataAsync());
      for (const owner of [output, other]) owner.dispose();
      if (!fault.failed()) break;
      labels.push(fault.label());
      assert.match(layer.getDiagnostics().webgpuState, /^not in use: .*memory/);
      await waitForGpu();
    }
    for (const label of ['query', 'output', 'scores']) assert.ok(labels.includes(label), labels.join(', '));
  });

  test('the layer later uses the GPU again, with correct results', async () => {
    for (const index of [0, 3, 6, 9, 12]) {
      const other = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
      const fault = failBuffer(device(), index);
      const first = await other.forwardAsync(input, context);
      fault.end();
      assert.ok(fault.failed());
      assertNear(first.data());
      await waitForGpu();
      const again = await other.forwardAsync(input, context);
      assert.match(other.explain(), /^webgpu/);
      assertNear(again.data());
      for (const owner of [first, again, other]) owner.dispose();
    }
  });
});

test('a shader that does not compile', () =>
  scoped(async (own) => {
    const other = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
    const mask = own(Tensor.from(new Array(18).fill(1), [2, 9]));
    const end = failPipelines(device(), (label) => label.startsWith('softmax'));
    const output = own(await other.forwardAsync(input, context, { mask }));
    end();
    assertNear(output.data());
    assert.match(other.explain(), /^wasm: .*webgpu.*'softmax.*compile.*test/);
    await waitForGpu();
    assertNear(own(await other.forwardAsync(input, context, { mask })).data());
    assert.match(other.explain(), /^webgpu/);
  }));

test('no adapter, then no device: requests are repeated after increasing pauses', async () => {
  let requests = 0;
  const counted = (answer) => () => {
    requests++;
    return answer();
  };
  const reasons = new Set();
  const forwardInWasm = async () => {
    await forward();
    assert.match(layer.explain(), /^wasm: /);
    await settle();
    reasons.add(layer.getDiagnostics().webgpuState);
  };
  installNavigatorGpu({ adapter: counted(() => null) });
  device().destroy();
  await forwardInWasm();
  for (const [tries, milliseconds] of [250, 500, 1000].entries()) {
    if (tries === 2) {
      const rejects = () => Promise.reject(new Error('not today'));
      installNavigatorGpu({ device: counted(rejects) });
    }
    clock.advance(milliseconds - 1);
    await forwardInWasm();
    assert.equal(requests, tries, `requests ${milliseconds - 1} ms after the last failure`);
    clock.advance(1);
    await forwardInWasm();
    await eventually(() => requests > tries);
    await forwardInWasm();
    assert.equal(requests, tries + 1, `requests ${milliseconds} ms after the last failure`);
  }
  const all = [...reasons].join('\n');
  assert.match(all, /not in use: .*adapter/);
  assert.match(all, /not in use: .*device.*not today/);
  installNavigatorGpu({ onDevice: (made) => devices.push(made) });
  await waitForGpu();
});

after(async () => {
  for (const owner of [layer, input, context, outputGradient]) owner.dispose();
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.deepEqual(gpuMemoryInUse(), { buffers: 0, bytes: 0 });
  assert.equal(counts.alive, 0);
});
