// The package on WebGPU in a page: compares results with WebAssembly, counts buffers, and simulates failures.
// Uses the software adapter, so that every machine can run it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage, webGpuSwitches } from '../../support/browser/chromium.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { readResult, resultOfPage } from './support/exercise_page.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';

/** Relative to the largest element of WebAssembly's result, in float32. */
const tolerance = 1e-4;
const onWebGpu = { device: 'webgpu' };

function addressOf(origin, options, where = 'page') {
  const query = new URLSearchParams({ where, options: JSON.stringify(options) });
  return `${origin}/tests/browser/pages/webgpu.html?${query}`;
}

/**
 * Checks the result of callAll: values equal those of WebAssembly. If `device` is given, all calls were
 * computed there.
 */
function checkCalls({ differences, devices }, device) {
  assert.equal(Object.keys(differences).length, 8);
  for (const [call, difference] of Object.entries(differences)) {
    assert.ok(difference <= tolerance, `${call} differs by ${difference}`);
  }
  if (device === undefined) return;
  for (const [call, explained] of Object.entries(devices)) {
    assert.ok(explained.startsWith(`${device}: `), `${call}: ${explained}`);
  }
}

const allFreed = { buffers: [], reported: { buffers: 0, bytes: 0 }, memoryInUse: 0 };

describe('WebGPU in a browser', () => {
  let browser;
  let isolated;
  let plain;
  before(async () => {
    browser = await launchChromium({ switches: webGpuSwitches.swiftshader });
    isolated = await serve(project, isolationHeaders);
    plain = await serve(project);
  });
  after(() => Promise.all([browser, isolated, plain].map((resource) => resource.close())));

  // One page for each server: init saves its measurements in the page's IndexedDB, so only the first exercise
  // measures.
  const pages = new Map();
  const resultOf = async (options, { origin } = isolated, where = 'page') => {
    if (!pages.has(origin)) pages.set(origin, await newWatchedPage(browser, origin));
    return (await readResult(pages.get(origin), addressOf(origin, options, where))).result;
  };
  const resultOfFirstVisit = async (options) =>
    (await resultOfPage(browser, addressOf(isolated.origin, options))).result;

  for (const [name, serverOf, threads] of [
    ['isolated, with threads', () => isolated, true],
    ['not isolated', () => plain, false],
  ]) {
    for (const where of ['page', 'worker']) {
      test(`${name}, in a ${where}: results equal WebAssembly's for tensors on both devices`, async (t) => {
        const options = { exercise: 'compute', initOptions: onWebGpu };
        const { runtime, results, diagnostics, remaining } = await resultOf(options, serverOf(), where);
        assert.equal(runtime.device, 'webgpu');
        assert.match(runtime.webgpu, /swiftshader/);
        assert.equal(runtime.threads > 1, threads);
        for (const location of ['wasm', 'webgpu']) {
          checkCalls(results[location], 'webgpu');
          for (const [call, actual] of Object.entries(results[location].locations)) {
            assert.equal(actual, location, `location of ${call} is that of its input`);
          }
        }
        assert.equal(diagnostics.webgpuState, 'in use');
        assert.deepEqual(remaining, allFreed);
        const worst = Math.max(...Object.values(results.webgpu.differences));
        t.diagnostic(`${runtime.webgpu}: largest relative difference ${worst.toExponential(1)}`);
      });
    }
  }

  test("'auto' does not use a software adapter, and gives that reason", async () => {
    const { runtime, results, remaining } = await resultOf({ exercise: 'compute', initOptions: {} });
    assert.equal(runtime.device, 'wasm');
    assert.match(runtime.webgpu, /swiftshader.*WebAssembly/);
    checkCalls(results.wasm, 'wasm');
    assert.deepEqual(remaining, allFreed);
  });

  test('float16 weights: results are within 0.5 %, and all memory is freed', async () => {
    const initOptions = { ...onWebGpu, gpuPrecision: 'float16' };
    const { results, remaining } = await resultOf({ exercise: 'compute', initOptions });
    for (const { differences } of Object.values(results)) {
      for (const [call, difference] of Object.entries(differences)) {
        assert.ok(difference <= 5e-3, `${call} differs by ${difference}`);
      }
      assert.ok(differences.forward > 1e-6, 'weights were float16');
    }
    assert.deepEqual(remaining, allFreed);
  });

  for (const where of ['page', 'worker']) {
    test(`the application's device, in a ${where}: buffers are shared without a copy`, async () => {
      const options = { exercise: 'interop', initOptions: {} };
      const { runtime, differences, location, explained, errors, remaining, devices } = await resultOf(
        options,
        isolated,
        where,
      );
      assert.equal(devices, 0, 'no other device was requested');
      assert.match(runtime.webgpu, /swiftshader/);
      assert.equal(location, 'webgpu');
      assert.match(explained, /^(webgpu|wasm): /);
      for (const [reader, difference] of Object.entries(differences)) {
        assert.ok(difference <= tolerance, `${reader}: differs by ${difference}`);
      }
      assert.equal(differences['the input afterwards'], 0);
      assert.deepEqual(errors, []);
      assert.deepEqual(remaining, allFreed);
    });
  }

  test('unsupported calls throw errors that name the alternative', async () => {
    const { errors, explained } = await resultOf({ exercise: 'unsupportedCalls', initOptions: onWebGpu });
    const messages = {
      data: ['ERR_ARGUMENT', /dataAsync/],
      view: ['ERR_ARGUMENT', /dataAsync/],
      forward: ['ERR_ARGUMENT', /input.*to\("wasm"\)/],
      maps: ['ERR_ARGUMENT', /input.*to\("wasm"\)/],
      double: ['ERR_ARGUMENT', /float32/],
      shape: ['ERR_SHAPE', /input/],
    };
    for (const [call, [code, message]] of Object.entries(messages)) {
      assert.equal(errors[call]?.code, code, `${call}: ${JSON.stringify(errors[call])}`);
      assert.match(errors[call].message, message);
    }
    assert.match(explained, /^wasm: float64/);
  });

  describe('a device that is destroyed', () => {
    const calls = ['forward', 'training', 'inputGradient', 'run', 'run again'];
    for (const [number, when] of ['before', 'at submit', 'soon after'].entries()) {
      for (const [index, lostCall] of calls.entries()) {
        if (!isFullRun && index % 3 !== number) continue;
        test(`${when}, ${lostCall}: correct results, the reason, and later a new device`, async () => {
          const options = { exercise: 'loseDevice', initOptions: onWebGpu, when, lostCall };
          const { lost, results, recovered, diagnostics, devicesBefore, devices, remaining } =
            await resultOf(options);
          assert.ok(lost);
          checkCalls(results);
          // A call that finishes before the loss is not repeated.
          if (when !== 'soon after') {
            assert.match(results.devices[lostCall], /^wasm: .*destroyed/);
            assert.match(diagnostics.webgpuState, /^not in use: .*destroyed/);
          }
          assert.equal(devicesBefore, 1, 'no new device is requested during the calls');
          assert.ok(recovered.isOnGpu, recovered.state);
          assert.ok(recovered.worst <= tolerance, `differs by ${recovered.worst}`);
          assert.equal(recovered.state, 'in use');
          assert.equal(devices, 2);
          assert.deepEqual(remaining, allFreed);
        });
      }
    }

    test('calls with tensors that were in its memory throw DeviceError', async () => {
      const { errors, after, remaining } = await resultOf({ exercise: 'loseTensors', initOptions: onWebGpu });
      for (const [call, error] of Object.entries(errors)) {
        assert.equal(error?.code, 'ERR_DEVICE', `${call}: ${JSON.stringify(error)}`);
        assert.match(error.message, /GPU memory.*lost/);
      }
      assert.ok(after <= tolerance, 'a call with other tensors is computed');
      assert.deepEqual(remaining, allFreed);
    });

    test('pauses between requests for a new device double', async (t) => {
      const options = { exercise: 'retries', initOptions: onWebGpu, count: 3 };
      const { requests, calls, webgpuState } = await resultOf(options);
      const times = requests.map((time) => time.toFixed(0)).join(', ');
      t.diagnostic(`requests after ${times} ms, ${calls} calls`);
      assert.match(webgpuState, /^not in use: .*adapter/);
      assert.equal(requests.length, 3);
      const pauses = requests.map((time, index) => time - (requests[index - 1] ?? 0));
      for (const [index, pause] of pauses.entries()) {
        assert.ok(pause >= 250 * 2 ** index - 1, `pause ${index} is ${pause} ms`);
      }
    });
  });

  describe('failures', () => {
    const messages = {
      'no adapter': /no WebGPU adapter/,
      'no device': /refused by the test/,
      'no pipeline': /not compiled by the test/,
      'no buffer': /not allocated by the test/,
      'no memory': /out of memory/,
      'tiny limits': /1024/,
    };
    for (const [index, [failure, message]] of Object.entries(messages).entries()) {
      const beforeInit = `before init: ${failure}`;
      const afterInit = `after init: ${failure}`;
      // npm test alternates: a failure before init needs a first visit, which calibrates for 3 s.
      const runs = isFullRun ? [beforeInit, afterInit] : [index % 2 === 0 ? beforeInit : afterInit];
      const testIf = (name, work) => runs.includes(name) && test(name, work);

      testIf(beforeInit, async () => {
        const options = { exercise: 'fail', initOptions: onWebGpu, failure, beforeInit: true };
        const { runtime, results, diagnostics, recovered, devices, remaining } =
          await resultOfFirstVisit(options);
        assert.equal(runtime.device, 'wasm');
        assert.match(runtime.webgpu, message);
        checkCalls(results, 'wasm');
        assert.match(diagnostics.deviceReason, message);
        assert.match(diagnostics.webgpuState, message);
        assert.ok(recovered.isOnGpu, recovered.state);
        assert.ok(recovered.worst <= tolerance, `differs by ${recovered.worst}`);
        assert.equal(devices, 1, 'unused devices are destroyed');
        assert.deepEqual(remaining, allFreed);
      });

      testIf(afterInit, async (t) => {
        // The package requests an adapter and a device only after it has lost its device.
        const afterLoss = failure === 'no adapter' || failure === 'no device';
        const options = { exercise: 'fail', initOptions: onWebGpu, failure, afterLoss };
        const { runtime, results, diagnostics, recovered, remaining } = await resultOf(options);
        assert.equal(runtime.device, 'webgpu');
        checkCalls(results, 'wasm');
        assert.match(diagnostics.lastCall, /^wasm: /);
        if (failure === 'tiny limits') {
          // Only this call was too large: the GPU is still used.
          assert.match(diagnostics.lastCall, message);
          assert.equal(diagnostics.webgpuState, 'in use');
        } else {
          if (!afterLoss) assert.match(diagnostics.webgpuState, message);
          assert.match(diagnostics.webgpuState, /^not in use: /);
        }
        assert.ok(recovered.isOnGpu, recovered.state);
        assert.ok(recovered.worst <= tolerance, `differs by ${recovered.worst}`);
        assert.deepEqual(remaining, allFreed);
        t.diagnostic(`the GPU is used again after ${recovered.milliseconds.toFixed(0)} ms`);
      });
    }

    test('during training with resident tensors: WebAssembly computes the backward pass', async () => {
      const options = { exercise: 'fail', initOptions: onWebGpu, failure: 'no pipeline' };
      const { results, remaining } = await resultOf({
        ...options,
        location: 'webgpu',
        from: 'inputGradient',
      });
      checkCalls(results);
      assert.match(results.devices.training, /^webgpu: /);
      assert.match(results.devices.inputGradient, /^wasm: .*not compiled/);
      // The GPU is not used for a while after a failure.
      assert.equal(results.locations.inputGradient, 'wasm');
      assert.deepEqual(remaining, allFreed);
    });

    test('no buffer for a result on the GPU: the result is in WebAssembly memory', async () => {
      const options = { exercise: 'resultOnGpu', initOptions: onWebGpu, failure: 'no buffer' };
      const { results, remaining } = await resultOf(options);
      for (const [call, { difference, location, explained }] of Object.entries(results)) {
        assert.ok(difference <= tolerance, `${call} differs by ${difference}`);
        assert.equal(location, 'wasm');
        assert.match(explained, /^wasm: /);
      }
      assert.deepEqual(remaining, allFreed);
    });

    test('no failure, forward on the GPU, backward in WebAssembly: the gradient is on the GPU', async () => {
      const options = { exercise: 'resultOnGpu', initOptions: onWebGpu, failure: 'none' };
      const { results, remaining } = await resultOf({ ...options, resident: true, backwardOn: 'wasm' });
      for (const [call, { difference, location }] of Object.entries(results)) {
        assert.ok(difference <= tolerance, `${call} differs by ${difference}`);
        assert.equal(location, 'webgpu');
      }
      assert.match(results.inputGradient.explained, /^wasm: /);
      assert.deepEqual(remaining, allFreed);
    });

    test('small limits: one batch row at a time if it fits, else WebAssembly', async () => {
      const options = { exercise: 'fail', initOptions: onWebGpu, failure: 'small limits' };
      const { results, recovered, remaining } = await resultOf(options);
      checkCalls(results);
      assert.match(results.devices.forward, /^webgpu: /);
      assert.match(results.devices.masked, /^wasm: .*\bmask\b/);
      assert.ok(recovered.isOnGpu, recovered.state);
      assert.deepEqual(remaining, allFreed);
    });
  });

  test('200 calls use as many buffers as 10, and dispose frees all', async (t) => {
    const { counts, explained, remaining } = await resultOf({
      exercise: 'repeatCalls',
      initOptions: onWebGpu,
      runs: 200,
    });
    for (const text of explained) assert.match(text, /^webgpu: /);
    for (const [call, { early, late, milliseconds }] of Object.entries(counts)) {
      assert.deepEqual(late, early, call);
      t.diagnostic(`${call}: ${early.live} buffers; ${milliseconds.toFixed(2)} ms`);
    }
    assert.deepEqual(remaining, allFreed);
  });

  test('concurrent calls whose tensors are disposed meanwhile: all results are correct', async () => {
    const options = { exercise: 'concurrentCalls', initOptions: onWebGpu, calls: 12 };
    const { differences, remaining } = await resultOf(options);
    assert.equal(differences.length, 12);
    for (const difference of differences) assert.ok(difference <= tolerance, `differs by ${difference}`);
    assert.deepEqual(remaining, allFreed);
  });

  for (const where of ['page', 'worker']) {
    test(`in a ${where}: a second visit measures nothing`, async (t) => {
      const watched = await newWatchedPage(browser, plain.origin);
      const visit = async () => {
        const address = addressOf(plain.origin, { exercise: 'calibrate', initOptions: onWebGpu }, where);
        return (await readResult(watched, address)).result;
      };
      try {
        const [first, second] = [await visit(), await visit()];
        t.diagnostic(
          `first visit ${first.milliseconds.toFixed(0)} ms and ${first.submits} submits, ` +
            `second visit ${second.milliseconds.toFixed(0)} ms`,
        );
        assert.ok(first.submits > 10, `${first.submits} submits`);
        assert.deepEqual([second.submits, second.created], [0, 0]);
        assert.match(String(first.keys), /^diffusion-cross-attention: .*swiftshader.*relaxed/);
        assert.deepEqual(second.keys, first.keys);
        for (const { remaining } of [first, second]) assert.deepEqual(remaining, allFreed);
      } finally {
        await watched.close();
      }
    });
  }
});

describe('a browser without a GPU', () => {
  let browser;
  let server;
  before(async () => {
    // Not localhost and without TLS, so the page is no secure context and has no navigator.gpu.
    browser = await launchChromium({ switches: ['--host-resolver-rules=MAP insecure.test 127.0.0.1'] });
    server = await serve(project);
  });
  after(() => Promise.all([browser.close(), server.close()]));

  const options = { exercise: 'compute', initOptions: onWebGpu };

  for (const where of ['page', 'worker']) {
    test(`in a ${where} without WebGPU: WebAssembly is used, and webgpu.js is not loaded`, async () => {
      const origin = server.origin.replace('127.0.0.1', 'insecure.test');
      const { result, loaded } = await resultOfPage(browser, addressOf(origin, options, where));
      const { runtime, results, diagnostics, remaining } = result;
      assert.ok(loaded.includes('/dist/index.js'));
      assert.ok(!loaded.includes('/dist/webgpu.js'));
      assert.equal(runtime.device, 'wasm');
      assert.match(runtime.webgpu, /navigator\.gpu/);
      assert.match(diagnostics.lastCall ?? diagnostics.deviceReason, /navigator\.gpu/);
      checkCalls(results.wasm, 'wasm');
      assert.deepEqual(remaining, allFreed);
    });

    test(`in a ${where} without an adapter: WebAssembly is used, with the reason`, async () => {
      const address = addressOf(server.origin, options, where);
      const { result } = await resultOfPage(browser, address);
      assert.equal(result.runtime.device, 'wasm');
      assert.match(result.runtime.webgpu, /adapter/);
      assert.match(result.diagnostics.deviceReason, /^webgpu: .*adapter/);
      checkCalls(result.results.wasm, 'wasm');
      assert.deepEqual(result.remaining, allFreed);
    });
  }
});
