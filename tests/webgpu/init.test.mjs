// init with every kind of host: each in a process of its own, for a process has one init.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

const support = new URL('../support/', import.meta.url);

/** Sets navigator.gpu up by `host`, calls init with `options` and a forwardAsync; what came of it. */
const start = (options, host = '') =>
  runForValue(`
import { DiffusionCrossAttention, gpuMemoryInUse, init, memoryInUse, Tensor } from 'diffusion-cross-attention';
import { assertNoUncapturedErrors, counts, installNavigatorGpu, requestTestDevice, settle } from '${support}webgpu.mjs';
import { failPipelines } from '${support}webgpu_faults.mjs';
let gpuDevice;
const refuse = () => Promise.reject(new Error('not today'));
${host}
const info = await init({ ...${JSON.stringify({ ...initOptions, ...options })}, gpuDevice });
const layer = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
const [input, context] = [Tensor.randn([2, 32, 6, 6], { seed: 2 }), Tensor.randn([2, 9, 24], { seed: 3 })];
const expected = layer.forwardWithContext(input, context);
const output = await layer.forwardAsync(input, context);
const [wanted, found] = [expected.data(), output.data()];
const error = Math.max(...wanted.map((value, index) => Math.abs(value - found[index])));
const { webgpuState = null, lastCall = null, deviceReason } = layer.getDiagnostics();
const noTensor = await input.to('webgpu').then((tensor) => tensor.dispose(), ({ code }) => code) ?? null;
const explained = layer.explain();
for (const owner of [layer, input, context, expected, output]) owner.dispose();
await settle();
assertNoUncapturedErrors();
const left = [memoryInUse(), gpuMemoryInUse().buffers, counts.alive];
console.log(JSON.stringify({ info, error, webgpuState, lastCall, deviceReason, noTensor, explained, left }));
`);

const assertInWasm = (found, why) => {
  assert.equal(found.info.device, 'wasm');
  assert.match(found.info.webgpu, why);
  assert.equal(found.error, 0, 'the same bits');
  assert.equal(found.noTensor, 'ERR_DEVICE');
  assert.match(found.explained, /^wasm: webgpu: /);
  assert.equal(found.deviceReason, `webgpu: ${found.info.webgpu}`);
  assert.deepEqual(found.left, [0, 0, 0]);
};

describe('no WebGPU', () => {
  for (const device of ['auto', 'webgpu']) {
    test(`no navigator.gpu, device ${device}`, async () => {
      assertInWasm(await start({ device }), /^navigator.gpu is not there$/);
    });
    test(`no adapter, device ${device}`, async () => {
      assertInWasm(
        await start({ device }, 'installNavigatorGpu({ adapter: () => null });'),
        /^no adapter answers$/,
      );
    });
    test(`requestDevice refused, device ${device}`, async () => {
      const found = await start({ device }, 'installNavigatorGpu({ device: refuse });');
      assertInWasm(found, /^the adapter gives no device: not today$/);
    });
    test(`requestAdapter throws, device ${device}`, async () => {
      const found = await start({ device }, 'installNavigatorGpu({ adapter: refuse });');
      assertInWasm(found, /^the adapter gives no device: not today$/);
    });
  }

  test('shaders that do not compile', async () => {
    const host = 'installNavigatorGpu({ onDevice: (device) => failPipelines(device) });';
    assertInWasm(
      await start({ device: 'webgpu' }, host),
      /does not compile: does not compile, says the test/,
    );
  });

  test("device 'wasm' does not ask", async () => {
    const host = 'installNavigatorGpu({ adapter: () => { throw new Error("asked"); } });';
    assertInWasm(await start({ device: 'wasm' }, host), /^not asked for: device is 'wasm'$/);
  });

  test("'auto' refuses a processor that plays a graphics card", async () => {
    const found = await start({ device: 'auto' }, 'installNavigatorGpu();');
    assertInWasm(found, /swiftshader.*a processor, which does better in WebAssembly/i);
  });
});

describe('WebGPU', () => {
  const assertOnCard = (found) => {
    assert.equal(found.info.device, 'webgpu');
    assert.match(found.info.webgpu, /swiftshader/i);
    assert.ok(found.error < 1e-5, `differs by ${found.error}`);
    assert.equal(found.webgpuState, 'in use');
    assert.match(found.lastCall, /^webgpu: asked for/);
    assert.equal(found.noTensor, null);
    assert.deepEqual(found.left, [0, 0, 0]);
  };

  test("device 'webgpu': the adapter of navigator.gpu", async () => {
    assertOnCard(await start({ device: 'webgpu' }, 'installNavigatorGpu();'));
  });

  test("the user's own device, without navigator.gpu", async () => {
    assertOnCard(await start({ device: 'webgpu' }, 'gpuDevice = await requestTestDevice();'));
  });

  test("'auto' weighs a device that is given, software or not", async () => {
    const found = await start({ device: 'auto' }, 'gpuDevice = await requestTestDevice();');
    assert.match(found.info.webgpu, /swiftshader/i);
    assert.equal(found.webgpuState, 'in use');
    assert.match(found.lastCall, /^(wasm|webgpu): .*predicted/);
  });

  test("weights in halves: 'float16' is within 5e-3", async () => {
    const found = await start({ device: 'webgpu', gpuPrecision: 'float16' }, 'installNavigatorGpu();');
    // Elements of about 1: rounding to halves is off by 5e-4 of each weight.
    assert.ok(found.error > 1e-6 && found.error < 5e-3, `differs by ${found.error}`);
    assert.match(found.lastCall, /^webgpu/);
  });
});
