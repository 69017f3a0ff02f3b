// A device that fails, in every way that it can: the call is done in WebAssembly with the right numbers, diagnostics say why,
// and later calls find the graphics card again.
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
const lost = /the device was lost/;

const device = () => devices.at(-1);
const assertRight = (values, wanted = expected) =>
  assertClose(values, wanted, 1e-4 * maximumMagnitude(wanted), 'output');
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Times the pauses after failures. */
const clock = installManualClock();
/** No pause is longer: milliseconds. */
const longestPause = 60_000;

async function forward() {
  const output = await layer.forwardAsync(input, context);
  assertRight(output.data());
  output.dispose();
}

/** Ends the pause after a failure, and repeats a forward until the GPU does it. */
async function untilOnCard() {
  clock.advance(longestPause);
  await eventually(async () => {
    await forward();
    return layer.explain().startsWith('webgpu');
  });
}

/** Waits for an event. Throws if it does not happen within a minute. */
async function eventually(isSo) {
  for (const end = process.uptime() + 60; !(await isSo()); await pause(20))
    assert.ok(process.uptime() < end, `never true: ${isSo}; ${layer.explain()}`);
}

/** Gradients as WebAssembly has them. */
function gradientsInWasm() {
  layer.training = true;
  layer.clearGradients();
  layer.forwardWithContext(input, context).dispose();
  const gradient = layer.backward(outputGradient);
  const found = [gradient.data(), layer.getParameterGradients(), layer.contextGradient.data()];
  gradient.dispose();
  layer.clearGradients();
  layer.training = false;
  return found;
}

beforeEach(() => untilOnCard());
afterEach(() => {
  layer.training = false;
  layer.resetState();
  layer.clearGradients();
  installNavigatorGpu({ onDevice: (made) => devices.push(made) });
  assertNoUncapturedErrors();
});

const assertSaysWhy = (why) => {
  const { webgpuState, lastCall } = layer.getDiagnostics();
  assert.match(webgpuState, /^not in use: /);
  assert.match(webgpuState, why);
  assert.match(lastCall, /^wasm: /);
  assert.match(lastCall, why);
  assert.equal(layer.explain(), lastCall);
};

describe('device lost', () => {
  test('before a call', async () => {
    device().destroy();
    const output = await layer.forwardAsync(input, context);
    assertRight(output.data());
    output.dispose();
    assertSaysWhy(lost);
  });

  test('in mid-run, the tensors being disposed of', () =>
    scoped(async (own) => {
      const [ownInput, ownContext] = [input.clone(), context.clone()];
      const running = layer.forwardAsync(ownInput, ownContext);
      ownInput.dispose();
      ownContext.dispose();
      device().destroy();
      const output = own(await running);
      assert.equal(output.location, 'wasm');
      assertRight(output.data());
      assertSaysWhy(lost);
    }));

  test('several calls under way', () =>
    scoped(async (own) => {
      const running = [1, 2, 3].map(() => layer.forwardAsync(input, context));
      await pause(1);
      device().destroy();
      for (const output of await Promise.all(running)) assertRight(own(output).data());
    }));

  for (const when of ['before', 'during']) {
    test(`${when} a backward`, () =>
      scoped(async (own) => {
        const wanted = gradientsInWasm();
        layer.training = true;
        own(await layer.forwardAsync(input, context));
        if (when === 'before') device().destroy();
        const running = layer.backwardAsync(outputGradient);
        if (when === 'during') device().destroy();
        const gradient = own(await running);
        assertRight(gradient.data(), wanted[0]);
        assertRight(layer.getParameterGradients(), wanted[1]);
        assertRight(layer.contextGradient.data(), wanted[2]);
      }));
  }

  test('while a compiled graph runs', () =>
    scoped(async (own) => {
      const inputs = [];
      const output = layer.exportComputationGraph(inputs);
      const constants = new Map([[inputs[1], context]]);
      const graph = own(
        await compile(output, inputs, { inputShapes: [input.shape, context.shape], constants }),
      );
      assertRight(own(await graph.runAsync(input)).data());
      const running = graph.runAsync(input);
      device().destroy();
      assertRight(own(await running).data());
      assert.match(graph.explain(), lost);
      await untilOnCard();
      assertRight(own(await graph.runAsync(input)).data());
      assert.match(graph.explain(), /^webgpu/);
    }));

  test('tensors that were on it are gone, and say so', () =>
    scoped(async (own) => {
      const resident = own(await input.to('webgpu'));
      device().destroy();
      await settle();
      await assert.rejects(resident.dataAsync(), { code: 'ERR_DEVICE', message: lost });
      await assert.rejects(layer.forwardAsync(resident, context), { code: 'ERR_DEVICE', message: lost });
    }));
});

describe('out of memory', () => {
  test('each buffer of a forward whose result stays on the card', async () => {
    const labels = [];
    for (let place = 0; ; ++place) {
      const made = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
      const fault = failBuffer(device(), place);
      const output = await made.forwardAsync(input, context, { location: 'webgpu' });
      fault.end();
      assertRight(await output.dataAsync());
      for (const owner of [output, made]) owner.dispose();
      if (!fault.failed()) break;
      labels.push(fault.label());
      assert.match(layer.getDiagnostics().webgpuState, /^not in use: the GPU has no memory left/);
      await untilOnCard();
    }
    for (const label of ['query', 'output', 'scores']) assert.ok(labels.includes(label), labels.join(', '));
  });

  test('the same layer finds the card again, with right numbers', async () => {
    for (const place of [0, 3, 6, 9, 12]) {
      const made = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
      const fault = failBuffer(device(), place);
      const first = await made.forwardAsync(input, context);
      fault.end();
      assert.ok(fault.failed());
      assertRight(first.data());
      await untilOnCard();
      const again = await made.forwardAsync(input, context);
      assert.match(made.explain(), /^webgpu/);
      assertRight(again.data());
      for (const owner of [first, again, made]) owner.dispose();
    }
  });
});

test('a shader that does not compile', () =>
  scoped(async (own) => {
    const made = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
    const key = Tensor.from(new Array(18).fill(1), [2, 9]);
    own(key);
    const end = failPipelines(device(), (label) => label.startsWith('softmax'));
    const output = own(await made.forwardAsync(input, context, { mask: key }));
    end();
    assertRight(output.data());
    assert.match(
      made.explain(),
      /^wasm: webgpu failed: the shader 'softmax.*does not compile.*says the test/,
    );
    await untilOnCard();
    assertRight(own(await made.forwardAsync(input, context, { mask: key })).data());
    assert.match(made.explain(), /^webgpu/);
  }));

test('no adapter any more, then a device that is refused: tried again less and less often', async () => {
  let requests = 0;
  const refuse = (answer) => () => {
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
  installNavigatorGpu({ adapter: refuse(() => null) });
  device().destroy();
  await forwardInWasm();
  for (const [tries, milliseconds] of [250, 500, 1000].entries()) {
    if (tries === 2) {
      const rejects = () => Promise.reject(new Error('not today'));
      installNavigatorGpu({ device: refuse(rejects) });
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
  assert.match(all, /not in use: no adapter answers/);
  assert.match(all, /not in use: the adapter gives no device: not today/);
  installNavigatorGpu({ onDevice: (made) => devices.push(made) });
  await untilOnCard();
});

after(async () => {
  for (const owner of [layer, input, context, outputGradient]) owner.dispose();
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.deepEqual(gpuMemoryInUse(), { buffers: 0, bytes: 0 });
  assert.equal(counts.alive, 0);
});
