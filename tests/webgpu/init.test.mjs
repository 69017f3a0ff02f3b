// Tests of init with different hosts. Each runs in its own process, because only the first init of a process
// has an effect.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

const support = new URL('../support/', import.meta.url);

/**
 * Runs `host`, which sets up navigator.gpu, then init with `options` and forwardAsync. Returns the results.
 */
const start = (options, host = '') =>
  runForValue(`
import {
  DiffusionCrossAttention, gpuMemoryInUse, init, memoryInUse, Tensor,
} from 'diffusion-cross-attention';
import {
  assertNoUncapturedErrors, counts, installNavigatorGpu, requestTestDevice, settle,
} from '${support}webgpu.mjs';
import { failPipelines } from '${support}webgpu_faults.mjs';
let gpuDevice;
const refuse = () => Promise.reject(new Error('not today'));
${host}
const info = await init({ ...${JSON.stringify({ ...initOptions, ...options })}, gpuDevice });
const layer = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
const [input, context] = [Tensor.randn([2, 32, 6, 6], { seed: 2 }), Tensor.randn([2, 9, 24], { seed: 3 })];
const expected = layer.forwardWithContext(input, context);
const output = await layer.forwardAsync(input, context);
const actual = output.data();
const error = Math.max(...expected.data().map((value, index) => Math.abs(value - actual[index])));
const { webgpuState = null, lastCall = null, deviceReason } = layer.getDiagnostics();
const errorCode = await input.to('webgpu').then((tensor) => tensor.dispose(), ({ code }) => code) ?? null;
const explanation = layer.explain();
for (const owner of [layer, input, context, expected, output]) owner.dispose();
await settle();
assertNoUncapturedErrors();
const leaks = [memoryInUse(), gpuMemoryInUse().buffers, counts.alive];
console.log(JSON.stringify({
  info, error, webgpuState, lastCall, deviceReason, errorCode, explanation, leaks,
}));
`);

const assertUsesWasm = (results, reason) => {
  assert.equal(results.info.device, 'wasm');
  assert.match(results.info.webgpu, reason);
  assert.equal(results.error, 0, 'the same bits');
  assert.equal(results.errorCode, 'ERR_DEVICE');
  assert.match(results.explanation, /^wasm: webgpu: /);
  assert.equal(results.deviceReason, `webgpu: ${results.info.webgpu}`);
  assert.deepEqual(results.leaks, [0, 0, 0]);
};

describe('without WebGPU', () => {
  for (const device of ['auto', 'webgpu']) {
    test(`no navigator.gpu, device ${device}`, async () => {
      assertUsesWasm(await start({ device }), /^navigator\.gpu/);
    });
    test(`no adapter, device ${device}`, async () => {
      assertUsesWasm(await start({ device }, 'installNavigatorGpu({ adapter: () => null });'), /adapter/);
    });
    test(`requestDevice rejects, device ${device}`, async () => {
      assertUsesWasm(
        await start({ device }, 'installNavigatorGpu({ device: refuse });'),
        /device.*not today$/,
      );
    });
    test(`requestAdapter rejects, device ${device}`, async () => {
      assertUsesWasm(await start({ device }, 'installNavigatorGpu({ adapter: refuse });'), /not today$/);
    });
  }

  test('shaders that do not compile', async () => {
    const host = 'installNavigatorGpu({ onDevice: (device) => failPipelines(device) });';
    assertUsesWasm(await start({ device: 'webgpu' }, host), /compile.*test/);
  });

  test("device 'wasm' does not request an adapter", async () => {
    const host = 'installNavigatorGpu({ adapter: () => { throw new Error("requested"); } });';
    assertUsesWasm(await start({ device: 'wasm' }, host), /device is 'wasm'$/);
  });

  test("'auto' does not use a software adapter", async () => {
    const results = await start({ device: 'auto' }, 'installNavigatorGpu();');
    assertUsesWasm(results, /swiftshader.*WebAssembly/i);
  });
});

describe('with WebGPU', () => {
  const assertUsesGpu = (results) => {
    assert.equal(results.info.device, 'webgpu');
    assert.match(results.info.webgpu, /swiftshader/i);
    assert.ok(results.error < 1e-5, `differs by ${results.error}`);
    assert.equal(results.webgpuState, 'in use');
    assert.match(results.lastCall, /^webgpu: /);
    assert.equal(results.errorCode, null);
    assert.deepEqual(results.leaks, [0, 0, 0]);
  };

  test("device 'webgpu': the adapter of navigator.gpu", async () => {
    assertUsesGpu(await start({ device: 'webgpu' }, 'installNavigatorGpu();'));
  });

  test('option gpuDevice, without navigator.gpu', async () => {
    assertUsesGpu(await start({ device: 'webgpu' }, 'gpuDevice = await requestTestDevice();'));
  });

  test("'auto' considers option gpuDevice, even a software adapter", async () => {
    const results = await start({ device: 'auto' }, 'gpuDevice = await requestTestDevice();');
    assert.match(results.info.webgpu, /swiftshader/i);
    assert.equal(results.webgpuState, 'in use');
    assert.match(results.lastCall, /^(wasm|webgpu): .*predicted/);
  });

  test("gpuPrecision 'float16': the error is below 5e-3", async () => {
    const results = await start({ device: 'webgpu', gpuPrecision: 'float16' }, 'installNavigatorGpu();');
    // Elements are about 1; rounding to float16 changes each weight by up to 5e-4 of its value.
    assert.ok(results.error > 1e-6 && results.error < 5e-3, `differs by ${results.error}`);
    assert.match(results.lastCall, /^webgpu/);
  });
});
