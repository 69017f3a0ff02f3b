// Requests of an adapter and device: limits, late answers, later attempts, and missing properties.
import assert from 'node:assert/strict';
import { afterEach, describe, mock, test } from 'node:test';
import { Device, DeviceManager, requestDevice } from '../../build/for_tests/webgpu.js';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

const never = new Promise(() => {});
const support = new URL('../support/', import.meta.url);

/** A device and adapter that only have what a start reads. */
function fakeDevice(properties = {}) {
  const device = {
    limits: {},
    features: new Set(),
    lost: never,
    destroyed: false,
    destroy: () => (device.destroyed = true),
    ...properties,
  };
  return device;
}
const fakeAdapter = (device, properties = {}) => ({
  limits: {},
  features: new Set(),
  requestDevice: async () => device,
  ...properties,
});

/** Defines navigator.gpu by a property descriptor. */
function defineGpu(descriptor) {
  globalThis.navigator ??= {};
  Object.defineProperty(globalThis.navigator, 'gpu', { configurable: true, ...descriptor });
}
const installAdapter = (requestAdapter) => defineGpu({ value: { requestAdapter } });

afterEach(() => {
  mock.timers.reset();
  delete globalThis.navigator.gpu;
});

/** Lets promises settle that wait for nothing else. */
const settle = async () => {
  for (let turn = 0; turn < 20; ++turn) await Promise.resolve();
};

describe('requestDevice', () => {
  const refusals = {
    'no navigator.gpu': [() => defineGpu({ value: undefined }), /navigator\.gpu is not available/],
    'navigator.gpu throws': [
      () =>
        defineGpu({
          get: () => {
            throw new Error('blocked');
          },
        }),
      /blocked/,
    ],
    'requestAdapter throws': [
      () =>
        installAdapter(() => {
          throw new TypeError('not supported');
        }),
      /not supported/,
    ],
    'requestAdapter rejects': [() => installAdapter(() => Promise.reject(new Error('no'))), /no$/],
    'requestAdapter gives null': [() => installAdapter(async () => null), /no WebGPU adapter/],
    'requestDevice rejects': [
      () => installAdapter(async () => fakeAdapter(null, { requestDevice: () => Promise.reject('busy') })),
      /busy/,
    ],
  };
  for (const [name, [install, reason]] of Object.entries(refusals)) {
    test(name, async () => {
      install();
      assert.match(await requestDevice(), reason);
    });
  }

  test('an adapter that never comes: the reason, after 5 s', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    let requested = 0;
    let answer;
    const adapter = fakeAdapter(fakeDevice(), { requestDevice: () => assert.fail('requested') });
    installAdapter(() => {
      requested++;
      return new Promise((resolve) => (answer = resolve));
    });
    let result = null;
    void requestDevice().then((value) => (result = value));
    mock.timers.tick(4999);
    await settle();
    assert.equal(result, null);
    mock.timers.tick(1);
    await settle();
    assert.match(result, /did not answer within 5 s/);
    // No device is requested from the late adapter.
    answer(adapter);
    await settle();
    assert.equal(requested, 1);
  });

  test('a device that comes too late is destroyed', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const device = fakeDevice();
    let answer;
    const late = new Promise((resolve) => (answer = resolve));
    installAdapter(async () => fakeAdapter(device, { requestDevice: () => late }));
    const request = requestDevice();
    await settle();
    mock.timers.tick(5000);
    assert.match(await request, /did not answer within 5 s/);
    answer(device);
    await settle();
    assert.ok(device.destroyed);
  });
});

describe('the name of an adapter', () => {
  const info = { vendor: 'maker', architecture: 'arch', device: '', description: 'card' };
  const software = { vendor: 'google', description: 'SwiftShader Device' };
  const cases = {
    'device.adapterInfo': [{ adapterInfo: info }, {}, 'maker arch card', false],
    'adapter.info': [{}, { info }, 'maker arch card', false],
    'an empty device.adapterInfo': [{ adapterInfo: {} }, { info }, 'maker arch card', false],
    neither: [{}, {}, 'unnamed adapter', false],
    'a software adapter by adapter.info': [{}, { info: software }, 'google SwiftShader Device', true],
    'isFallbackAdapter of the info': [{}, { info: { isFallbackAdapter: true } }, 'unnamed adapter', true],
    'isFallbackAdapter of the adapter': [{}, { isFallbackAdapter: true }, 'unnamed adapter', true],
  };
  for (const [name, [device, adapter, description, isSoftware]] of Object.entries(cases)) {
    test(name, () => {
      const made = new Device(fakeDevice(device), fakeAdapter(null, adapter));
      assert.equal(made.description, description);
      assert.equal(made.isSoftware, isSoftware);
    });
  }
  test('a device of the user', () => {
    assert.equal(new Device(fakeDevice()).description, 'unnamed adapter');
  });
});

test('the device manager asks again after a pause, and after an attempt that throws', async () => {
  mock.timers.enable({ apis: ['Date'] });
  const clock = mock.method(performance, 'now', () => now);
  let now = 0;
  const ready = { device: new Device(fakeDevice()) };
  const answers = [() => Promise.reject(new Error('unexpected')), async () => 'none yet', async () => ready];
  const manager = new DeviceManager('there is no adapter', () => answers.shift()());
  assert.equal(manager.get(), null);
  for (const problem of ['unexpected', 'none yet']) {
    now += 60_000;
    assert.equal(manager.get(), null);
    await settle();
    assert.equal(manager.problem, problem);
  }
  now += 60_000;
  manager.get();
  await settle();
  assert.equal(manager.get(), ready);
  clock.mock.restore();
});

describe('init', () => {
  /**
   * Runs init and calls of a layer in a process in which a second of the limits for the GPU, at most 10 s,
   * passes in 20 ms. Those for files and threads are longer, and remain as they are.
   */
  const start = (host, device = 'webgpu') =>
    runForValue(`
import { DiffusionCrossAttention, init, Tensor } from 'diffusion-cross-attention';
import { installNavigatorGpu } from '${support}webgpu.mjs';
const wait = setTimeout;
let waited = 0;
let isStarted = false;
globalThis.setTimeout = (run, milliseconds = 0, ...rest) => {
  if (milliseconds < 1000 || milliseconds > 10_000 || isStarted) return wait(run, milliseconds, ...rest);
  waited = Math.max(waited, milliseconds);
  return wait(run, milliseconds / 50, ...rest);
};
let requests = 0;
const never = new Promise(() => {});
${host}
const info = await init({ ...${JSON.stringify({ ...initOptions, device })} });
const longest = waited;
isStarted = true;
const layer = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
const [input, context] = [Tensor.randn([2, 32, 6, 6], { seed: 2 }), Tensor.randn([2, 9, 24], { seed: 3 })];
const explanations = new Set();
for (const end = process.uptime() + 30; process.uptime() < end && !done();) {
  (await layer.forwardAsync(input, context)).dispose();
  explanations.add(layer.explain());
  await new Promise((resolve) => wait(resolve, 50));
}
function done() { return isDone(layer.explain()); }
console.log(JSON.stringify({ info, longest, requests, explanations: [...explanations] }));
process.exit();
`);
  const onGpu = 'const isDone = (text) => text.startsWith("webgpu");';

  const first = {
    'never answers': ['never', /did not answer within 5 s/],
    'answers null once': ['null', /no WebGPU adapter/],
    'throws once': ['Promise.reject(new Error("starting"))', /starting/],
  };
  for (const [name, [answer, reason]] of Object.entries(first)) {
    test(`requestAdapter ${name}: a later call uses the GPU`, async () => {
      const adapter = `(real) => (requests++ === 0 ? ${answer} : real)`;
      const host = `installNavigatorGpu({ adapter: ${adapter} });${onGpu}`;
      const { info, longest, explanations } = await start(host);
      assert.equal(info.device, 'wasm');
      assert.match(info.webgpu, reason);
      assert.ok(longest >= 5000, `the longest limit is ${longest} ms`);
      assert.match(explanations.at(-1), /^webgpu/);
    });
  }

  test("'auto' asks again, too", async () => {
    const host =
      'installNavigatorGpu({ adapter: () => (requests++, null) });const isDone = () => requests >= 3;';
    const { info, requests } = await start(host, 'auto');
    assert.match(info.webgpu, /no WebGPU adapter/);
    assert.ok(requests >= 3, `${requests} requests`);
  });

  test('a calibration that does not end: the device is destroyed', async () => {
    const host = `
let devices = [];
installNavigatorGpu({ onDevice: (device) => {
  devices.push(device);
  if (devices.length > 1) return;
  device.createComputePipelineAsync = () => never;
  device.lost.then(() => requests++);
} });${onGpu}`;
    const { info, requests, explanations } = await start(host);
    assert.match(info.webgpu, /calibration did not end within 10 s/);
    assert.equal(requests, 1, 'the device was not destroyed');
    assert.match(explanations.at(-1), /^webgpu/);
  });

  test('a navigator.gpu that throws', async () => {
    const host = `
globalThis.navigator ??= {};
Object.defineProperty(globalThis.navigator, 'gpu', { get() { throw new Error('blocked'); } });
const isDone = () => true;`;
    const { info } = await start(host);
    assert.equal(info.device, 'wasm');
    assert.match(info.webgpu, /blocked/);
  });
});
