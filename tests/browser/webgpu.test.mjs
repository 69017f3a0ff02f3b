// The package on WebGPU in a real page: results against WebAssembly's, buffers counted, and whatever can fail made to fail. A
// processor plays the graphics card, so that every machine can run this.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage, webGpuSwitches } from '../../support/browser/chromium.mjs';
import { readResult, resultOfPage } from './support/exercise_page.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';

/** Of the largest element of WebAssembly's result, in float32. */
const tolerance = 1e-4;
const onWebGpu = { device: 'webgpu' };

function addressOf(origin, options, where = 'page') {
  const query = new URLSearchParams({ where, options: JSON.stringify(options) });
  return `${origin}/tests/browser/pages/webgpu.html?${query}`;
}

/** What callAll gives: everything near WebAssembly's; where `device` is given, computed there. */
function checkCalls({ differences, devices }, device) {
  assert.equal(Object.keys(differences).length, 8);
  for (const [what, difference] of Object.entries(differences)) {
    assert.ok(difference <= tolerance, `${what} differs by ${difference}`);
  }
  if (device === undefined) return;
  for (const [what, explained] of Object.entries(devices)) {
    assert.ok(explained.startsWith(`${device}: `), `${what}: ${explained}`);
  }
}

const nothingLeft = { buffers: [], told: { buffers: 0, bytes: 0 }, memoryInUse: 0 };

describe('WebGPU in a browser', () => {
  let browser;
  let isolated;
  let plain;
  before(async () => {
    browser = await launchChromium({ switches: webGpuSwitches.swiftshader });
    isolated = await serve(project, isolationHeaders);
    plain = await serve(project);
  });
  after(() => Promise.all([browser, isolated, plain].map((opened) => opened.close())));

  // One page for each server: init saves its measurements in the page's IndexedDB, so only the first exercise measures.
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
      test(`${name}, in a ${where}: the numbers of WebAssembly, wherever tensors are`, async (t) => {
        const options = { exercise: 'compute', initOptions: onWebGpu };
        const { runtime, results, diagnostics, left } = await resultOf(options, serverOf(), where);
        assert.equal(runtime.device, 'webgpu');
        assert.match(runtime.webgpu, /swiftshader/);
        assert.equal(runtime.threads > 1, threads);
        for (const location of ['wasm', 'webgpu']) {
          checkCalls(results[location], 'webgpu');
          for (const [what, place] of Object.entries(results[location].places)) {
            assert.equal(place, location, `${what} is where its input is`);
          }
        }
        assert.equal(diagnostics.webgpuState, 'in use');
        assert.deepEqual(left, nothingLeft);
        const worst = Math.max(...Object.values(results.webgpu.differences));
        t.diagnostic(`${runtime.webgpu}: at most ${worst.toExponential(1)} of the largest element apart`);
      });
    }
  }

  test("'auto' leaves a processor that plays a card alone, and says so", async () => {
    const { runtime, results, left } = await resultOf({ exercise: 'compute', initOptions: {} });
    assert.equal(runtime.device, 'wasm');
    assert.match(runtime.webgpu, /swiftshader.*WebAssembly/);
    checkCalls(results.wasm, 'wasm');
    assert.deepEqual(left, nothingLeft);
  });

  test('weights in half precision: within 0.5 %, and nothing left', async () => {
    const initOptions = { ...onWebGpu, gpuPrecision: 'float16' };
    const { results, left } = await resultOf({ exercise: 'compute', initOptions });
    for (const { differences } of Object.values(results)) {
      for (const [what, difference] of Object.entries(differences)) {
        assert.ok(difference <= 5e-3, `${what} differs by ${difference}`);
      }
      assert.ok(differences.forward > 1e-6, 'weights were in half precision');
    }
    assert.deepEqual(left, nothingLeft);
  });

  for (const where of ['page', 'worker']) {
    test(`the user's device, in a ${where}: buffers go in and out without a copy`, async () => {
      const options = { exercise: 'interop', initOptions: {} };
      const { runtime, differences, place, explained, errors, left, devices } = await resultOf(
        options,
        isolated,
        where,
      );
      assert.equal(devices, 0, 'no other device was asked for');
      assert.match(runtime.webgpu, /swiftshader/);
      assert.equal(place, 'webgpu');
      assert.match(explained, /^(webgpu|wasm): /);
      for (const [what, difference] of Object.entries(differences)) {
        assert.ok(difference <= tolerance, `${what} differs by ${difference}`);
      }
      assert.equal(differences['the input afterwards'], 0);
      assert.deepEqual(errors, []);
      assert.deepEqual(left, nothingLeft);
    });
  }

  test('what is not offered throws, and names the way out', async () => {
    const { errors, explained } = await resultOf({ exercise: 'refuse', initOptions: onWebGpu });
    const messages = {
      data: ['ERR_ARGUMENT', /dataAsync/],
      view: ['ERR_ARGUMENT', /dataAsync/],
      forward: ['ERR_ARGUMENT', /input.*to\("wasm"\)/],
      maps: ['ERR_ARGUMENT', /input.*to\("wasm"\)/],
      double: ['ERR_ARGUMENT', /float32/],
      shape: ['ERR_SHAPE', /input/],
    };
    for (const [what, [code, message]] of Object.entries(messages)) {
      assert.equal(errors[what]?.code, code, `${what}: ${JSON.stringify(errors[what])}`);
      assert.match(errors[what].message, message);
    }
    assert.match(explained, /^wasm: float64/);
  });

  describe('a device that is destroyed', () => {
    const calls = ['forward', 'training', 'inputGradient', 'run', 'run again'];
    for (const when of ['before', 'at submit', 'soon after']) {
      for (const what of calls) {
        test(`${when}, ${what}: right numbers, the reason, and later another device`, async () => {
          const options = { exercise: 'lose', initOptions: onWebGpu, when, what };
          const { lost, results, recovered, diagnostics, devicesBefore, devices, left } =
            await resultOf(options);
          assert.ok(lost);
          checkCalls(results);
          // What is over before the device went is not done again.
          if (when !== 'soon after') {
            assert.match(results.devices[what], /^wasm: .*destroyed/);
            assert.match(diagnostics.webgpuState, /^not in use: .*destroyed/);
          }
          assert.equal(devicesBefore, 1, 'the calls were over before another one was asked for');
          assert.ok(recovered.isOnCard, recovered.state);
          assert.ok(recovered.worst <= tolerance, `differs by ${recovered.worst}`);
          assert.equal(recovered.state, 'in use');
          assert.equal(devices, 2);
          assert.deepEqual(left, nothingLeft);
        });
      }
    }

    test('takes what was in its memory with it: whoever asks for that is told so', async () => {
      const { errors, after, left } = await resultOf({ exercise: 'loseTensors', initOptions: onWebGpu });
      for (const [what, error] of Object.entries(errors)) {
        assert.equal(error?.code, 'ERR_DEVICE', `${what}: ${JSON.stringify(error)}`);
        assert.match(error.message, /GPU memory.*lost/);
      }
      assert.ok(after <= tolerance, 'a call with other tensors is done');
      assert.deepEqual(left, nothingLeft);
    });

    test('another one is asked for less and less often', async (t) => {
      const options = { exercise: 'retries', initOptions: onWebGpu, count: 3 };
      const { asked, calls, webgpuState } = await resultOf(options);
      t.diagnostic(`asked after ${asked.map((time) => time.toFixed(0)).join(', ')} ms of ${calls} calls`);
      assert.match(webgpuState, /^not in use: no adapter answers/);
      assert.equal(asked.length, 3);
      const pauses = asked.map((time, index) => time - (asked[index - 1] ?? 0));
      for (const [index, pause] of pauses.entries()) {
        assert.ok(pause >= 250 * 2 ** index - 1, `pause ${index} of ${pause} ms`);
      }
    });
  });

  describe('WebGPU that fails', () => {
    const messages = {
      'no adapter': /no adapter answers/,
      'no device': /refused by the test/,
      'no pipeline': /not compiled by the test/,
      'no buffer': /not allocated by the test/,
      'no memory': /no memory left/,
      'tiny limits': /takes 1024/,
    };
    for (const [failure, message] of Object.entries(messages)) {
      test(`from the start: ${failure}`, async () => {
        const options = { exercise: 'fail', initOptions: onWebGpu, failure, beforeInit: true };
        const { runtime, results, diagnostics, recovered, devices, left } = await resultOfFirstVisit(options);
        assert.equal(runtime.device, 'wasm');
        assert.match(runtime.webgpu, message);
        checkCalls(results, 'wasm');
        assert.match(diagnostics.deviceReason, message);
        assert.match(diagnostics.webgpuState, message);
        assert.ok(recovered.isOnCard, recovered.state);
        assert.ok(recovered.worst <= tolerance, `differs by ${recovered.worst}`);
        assert.equal(devices, 1, 'those that were of no use are destroyed');
        assert.deepEqual(left, nothingLeft);
      });

      test(`once it has worked: ${failure}`, async (t) => {
        // Adapter and device are asked for only where there is none any more.
        const afterLoss = failure === 'no adapter' || failure === 'no device';
        const options = { exercise: 'fail', initOptions: onWebGpu, failure, afterLoss };
        const { runtime, results, diagnostics, recovered, left } = await resultOf(options);
        assert.equal(runtime.device, 'webgpu');
        checkCalls(results, 'wasm');
        assert.match(diagnostics.lastCall, /^wasm: /);
        if (failure === 'tiny limits') {
          // The call was too large; the card is well, and takes others.
          assert.match(diagnostics.lastCall, message);
          assert.equal(diagnostics.webgpuState, 'in use');
        } else {
          if (!afterLoss) assert.match(diagnostics.webgpuState, message);
          assert.match(diagnostics.webgpuState, /^not in use: /);
        }
        assert.ok(recovered.isOnCard, recovered.state);
        assert.ok(recovered.worst <= tolerance, `differs by ${recovered.worst}`);
        assert.deepEqual(left, nothingLeft);
        t.diagnostic(`on the card again after ${recovered.milliseconds.toFixed(0)} ms`);
      });
    }

    test('in the middle of training on resident tensors: the backward is done in WebAssembly', async () => {
      const options = { exercise: 'fail', initOptions: onWebGpu, failure: 'no pipeline' };
      const { results, left } = await resultOf({
        ...options,
        location: 'webgpu',
        from: 'inputGradient',
      });
      checkCalls(results);
      assert.match(results.devices.training, /^webgpu: /);
      assert.match(results.devices.inputGradient, /^wasm: .*not compiled/);
      // A card that failed a moment ago is left in peace.
      assert.equal(results.places.inputGradient, 'wasm');
      assert.deepEqual(left, nothingLeft);
    });

    test('no buffer for a result that is wanted on the card: it is in WASM memory', async () => {
      const options = { exercise: 'elsewhere', initOptions: onWebGpu, failure: 'no buffer' };
      const { results, left } = await resultOf(options);
      for (const [what, { difference, place, explained }] of Object.entries(results)) {
        assert.ok(difference <= tolerance, `${what} differs by ${difference}`);
        assert.equal(place, 'wasm');
        assert.match(explained, /^wasm: /);
      }
      assert.deepEqual(left, nothingLeft);
    });

    test('nothing fails, a backward in WebAssembly of a forward on the card: gradient where it is wanted', async () => {
      const options = { exercise: 'elsewhere', initOptions: onWebGpu, failure: 'none' };
      const { results, left } = await resultOf({ ...options, resident: true, backwardOn: 'wasm' });
      for (const [what, { difference, place }] of Object.entries(results)) {
        assert.ok(difference <= tolerance, `${what} differs by ${difference}`);
        assert.equal(place, 'webgpu');
      }
      assert.match(results.inputGradient.explained, /^wasm: asked for/);
      assert.deepEqual(left, nothingLeft);
    });

    test('small limits: a batch row at a time where that will do, else in WebAssembly', async () => {
      const options = { exercise: 'fail', initOptions: onWebGpu, failure: 'small limits' };
      const { results, recovered, left } = await resultOf(options);
      checkCalls(results);
      assert.match(results.devices.forward, /^webgpu: /);
      assert.match(results.devices.masked, /^wasm: .*the mask needs/);
      assert.ok(recovered.isOnCard, recovered.state);
      assert.deepEqual(left, nothingLeft);
    });
  });

  test('200 runs hold no more buffers than 10, and dispose frees them all', async (t) => {
    const { counts, explained, left } = await resultOf({
      exercise: 'repeat',
      initOptions: onWebGpu,
      runs: 200,
    });
    for (const text of explained) assert.match(text, /^webgpu: /);
    for (const [way, { early, late, milliseconds }] of Object.entries(counts)) {
      assert.deepEqual(late, early, way);
      t.diagnostic(`${way}: ${early.live} buffers; ${milliseconds.toFixed(2)} ms`);
    }
    assert.deepEqual(left, nothingLeft);
  });

  test('calls at the same time, their tensors disposed of meanwhile: each its own result', async () => {
    const { differences, left } = await resultOf({ exercise: 'together', initOptions: onWebGpu, calls: 12 });
    assert.equal(differences.length, 12);
    for (const difference of differences) assert.ok(difference <= tolerance, `differs by ${difference}`);
    assert.deepEqual(left, nothingLeft);
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
          `first ${first.milliseconds.toFixed(0)} ms and ${first.submits} submits, then ${second.milliseconds.toFixed(0)} ms`,
        );
        assert.ok(first.submits > 10, `${first.submits} submits`);
        assert.deepEqual([second.submits, second.made], [0, 0]);
        assert.match(String(first.keys), /^diffusion-cross-attention: .*swiftshader.*relaxed/);
        assert.deepEqual(second.keys, first.keys);
        for (const { left } of [first, second]) assert.deepEqual(left, nothingLeft);
      } finally {
        await watched.close();
      }
    });
  }
});

describe('a browser without a graphics card', () => {
  let browser;
  let server;
  before(async () => {
    // A name that is not localhost: without TLS the page is no secure context, and has no navigator.gpu.
    browser = await launchChromium({ switches: ['--host-resolver-rules=MAP insecure.test 127.0.0.1'] });
    server = await serve(project);
  });
  after(() => Promise.all([browser.close(), server.close()]));

  const options = { exercise: 'compute', initOptions: onWebGpu };

  for (const where of ['page', 'worker']) {
    test(`in a ${where} without WebGPU: WebAssembly, and what drives WebGPU is not even loaded`, async () => {
      const origin = server.origin.replace('127.0.0.1', 'insecure.test');
      const { result, loaded } = await resultOfPage(browser, addressOf(origin, options, where));
      const { runtime, results, diagnostics, left } = result;
      assert.ok(loaded.includes('/dist/index.js'));
      assert.ok(!loaded.includes('/dist/webgpu.js'));
      assert.equal(runtime.device, 'wasm');
      assert.equal(runtime.webgpu, 'navigator.gpu is not there');
      assert.match(diagnostics.lastCall ?? diagnostics.deviceReason, /navigator\.gpu is not there/);
      checkCalls(results.wasm, 'wasm');
      assert.deepEqual(left, nothingLeft);
    });

    test(`in a ${where} without an adapter: WebAssembly, and why`, async () => {
      const address = addressOf(server.origin, options, where);
      const { result } = await resultOfPage(browser, address);
      assert.equal(result.runtime.device, 'wasm');
      assert.equal(result.runtime.webgpu, 'no adapter answers');
      assert.equal(result.diagnostics.deviceReason, 'webgpu: no adapter answers');
      checkCalls(result.results.wasm, 'wasm');
      assert.deepEqual(result.left, nothingLeft);
    });
  }
});
