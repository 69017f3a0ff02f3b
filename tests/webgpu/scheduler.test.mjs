// Tests of the scheduler with fake times: cost model, observations and decisions.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { decisionText, Observations, predict, Scheduler } from '../../build/for_tests/webgpu.js';

const calibration = {
  wasm: { milliseconds: 0.05, flopsPerMillisecond: 1e7 },
  webgpu: { milliseconds: 2, flopsPerMillisecond: 1e9 },
  transfer: { uploadBytesPerMillisecond: 1e6, downloadBytesPerMillisecond: 5e5 },
};
const work = (flops, uploadBytes = 0, downloadBytes = 0) => ({ flops, uploadBytes, downloadBytes });
const callOf = (flops, key = String(flops)) => ({ key, wasm: work(flops), webgpu: work(flops, 1e6, 1e6) });

test('the cost model adds overhead, FLOPs, uploads and downloads', () => {
  const { webgpu, transfer } = calibration;
  assert.equal(predict(webgpu, transfer, work(0)), 2);
  assert.equal(predict(webgpu, transfer, work(3e9)), 5);
  assert.equal(predict(webgpu, transfer, work(0, 4e6, 1e6)), 2 + 4 + 2);
});

describe('observations', () => {
  test('ignore the first call, which compiles; then return the median of the last five', () => {
    const observations = new Observations();
    observations.add('a', 'wasm', 1000);
    assert.equal(observations.expected('a', 'wasm'), null);
    for (const time of [7, 5, 100]) observations.add('a', 'wasm', time);
    assert.equal(observations.expected('a', 'wasm'), 7);
    for (const time of [1, 2, 3, 4, 5]) observations.add('a', 'wasm', time);
    assert.equal(observations.expected('a', 'wasm'), 3);
  });

  test('are separate for each device and kind of call', () => {
    const observations = new Observations();
    for (const time of [1, 2]) observations.add('a', 'wasm', time);
    assert.equal(observations.expected('a', 'webgpu'), null);
    assert.equal(observations.expected('b', 'wasm'), null);
  });
});

describe('decisions', () => {
  test('by prediction: small calls run in WebAssembly, large calls on the GPU', () => {
    const scheduler = new Scheduler(calibration);
    assert.equal(scheduler.decide(callOf(1e6)).device, 'wasm');
    const { device, reason, wasm, webgpu } = scheduler.decide(callOf(1e9));
    assert.equal(device, 'webgpu');
    assert.match(reason, /predicted/);
    assert.ok(Math.abs(wasm.milliseconds - 100.05) < 1e-9);
    assert.ok(Math.abs(webgpu.milliseconds - 6) < 1e-9);
  });

  test('include transfers: a call whose tensors are on the GPU runs there', () => {
    const scheduler = new Scheduler(calibration);
    const call = { key: 'x', wasm: work(3e7, 0, 0), webgpu: work(3e7, 8e6, 8e6) };
    assert.equal(scheduler.decide(call).device, 'wasm');
    const resident = { key: 'y', wasm: work(3e7, 8e6, 8e6), webgpu: work(3e7) };
    assert.equal(scheduler.decide(resident).device, 'webgpu');
  });

  test('never try a device that is predicted to be far slower', () => {
    const scheduler = new Scheduler(calibration);
    const call = callOf(1e6);
    for (let count = 0; count < 20; ++count) {
      const { device } = scheduler.decide(call);
      assert.equal(device, 'wasm');
      scheduler.observe(call, device, 0.2);
    }
  });

  /**
   * Simulates devices whose calls last `times`, multiplied by `noise`; the first call lasts ten times as
   * long. Returns the decisions after `warmUp` calls and the number of calls per device.
   */
  function simulate(times, { calls = 40, warmUp = 10, noise = () => 1, flops = 1e8 } = {}) {
    const scheduler = new Scheduler(calibration);
    const call = callOf(flops);
    const seen = { wasm: 0, webgpu: 0 };
    const chosen = [];
    for (let count = 0; count < calls; ++count) {
      const { device } = scheduler.decide(call);
      if (count >= warmUp) chosen.push(device);
      scheduler.observe(call, device, times[device] * noise(count) * (seen[device]++ === 0 ? 10 : 1));
    }
    return { chosen, seen };
  }

  test('once both devices are measured, the chosen one is at most 15 % slower', () => {
    const time = fc.double({ min: 0.01, max: 1000, noNaN: true });
    fc.assert(
      fc.property(
        time,
        time,
        fc.array(fc.double({ min: 0.97, max: 1.03, noNaN: true }), { minLength: 40, maxLength: 40 }),
        (wasm, webgpu, noise) => {
          const times = { wasm, webgpu };
          const { chosen, seen } = simulate(times, { noise: (count) => noise[count] });
          if (seen.wasm < 2 || seen.webgpu < 2) return;
          const fastest = Math.min(wasm, webgpu);
          for (const device of chosen)
            assert.ok(times[device] <= 1.15 * fastest, `${device} of ${JSON.stringify(times)}`);
        },
      ),
      runs(300),
    );
  });

  test('trying both devices corrects a prediction that is wrong by less than a factor of 2', () => {
    // Predicted: 10.05 ms in WebAssembly, 5.1 ms on the GPU.
    const { chosen } = simulate({ wasm: 3, webgpu: 6 });
    assert.deepEqual([...new Set(chosen)], ['wasm']);
  });

  test('a measured time that exceeds its prediction makes the other device worth a trial', () => {
    const scheduler = new Scheduler(calibration);
    const call = callOf(1e6); // predicted: 0.15 ms in WebAssembly, 5 ms on the GPU
    const tried = { wasm: 0, webgpu: 0 };
    for (let count = 0; count < 12; ++count) {
      const { device, reason } = scheduler.decide(call);
      // Nothing is "measured to be faster" before it was measured.
      if (count < 8) assert.match(reason, /trial|so far|predicted/);
      ++tried[device];
      scheduler.observe(call, device, device === 'wasm' ? 8 : 20);
    }
    assert.deepEqual(tried, { wasm: 8, webgpu: 4 });
    assert.match(scheduler.decide(call).reason, /measured to be faster/);
  });

  test('a single outlier does not change decisions permanently', () => {
    for (let outlier = 0; outlier < 8; ++outlier) {
      const noise = (count) => (count === outlier ? 30 : 1);
      const { chosen } = simulate({ wasm: 3, webgpu: 5 }, { noise });
      assert.deepEqual([...new Set(chosen)], ['wasm'], `outlier in call ${outlier}`);
    }
  });

  test('change if a device becomes slower', () => {
    const scheduler = new Scheduler(calibration);
    const call = callOf(1e8);
    for (const device of ['wasm', 'webgpu'])
      for (let count = 0; count < 6; ++count) scheduler.observe(call, device, device === 'wasm' ? 10 : 5);
    assert.equal(scheduler.decide(call).device, 'webgpu');
    for (let count = 0; count < 3; ++count) scheduler.observe(call, 'webgpu', 30);
    assert.equal(scheduler.decide(call).device, 'wasm');
  });

  test('decisionText contains the device, the reason and both costs', () => {
    const scheduler = new Scheduler(calibration);
    const [decision, wasm, webgpu, ...rest] = decisionText(scheduler.decide(callOf(1e9))).split('; ');
    assert.match(decision, /^webgpu: .*predicted/);
    assert.match(wasm, /^wasm: 100\.05 ms.*1000\.00 MFLOP.*0\.00 MB.*0\.00 MB/);
    assert.match(webgpu, /^webgpu: 6\.00 ms.*1000\.00 MFLOP.*1\.00 MB.*1\.00 MB/);
    assert.deepEqual(rest, []);
    assert.equal(
      decisionText({ device: 'wasm', reason: 'a reason', wasm: null, webgpu: null }),
      'wasm: a reason',
    );
  });
});
