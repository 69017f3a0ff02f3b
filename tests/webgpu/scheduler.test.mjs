// The scheduler with times that are made up: the cost model, what is remembered of calls, and what is chosen.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { forTests } from '../../dist/webgpu.js';

const { decisionText, Observations, predict, Scheduler } = forTests;

const calibration = {
  wasm: { milliseconds: 0.05, flopsPerMillisecond: 1e7 },
  webgpu: { milliseconds: 2, flopsPerMillisecond: 1e9 },
  transfer: { uploadBytesPerMillisecond: 1e6, downloadBytesPerMillisecond: 5e5 },
};
const work = (flops, uploadBytes = 0, downloadBytes = 0) => ({ flops, uploadBytes, downloadBytes });
const callOf = (flops, key = String(flops)) => ({ key, wasm: work(flops), webgpu: work(flops, 1e6, 1e6) });

test('the cost model: a call, its FLOPs, its bytes there and back', () => {
  const { webgpu, transfer } = calibration;
  assert.equal(predict(webgpu, transfer, work(0)), 2);
  assert.equal(predict(webgpu, transfer, work(3e9)), 5);
  assert.equal(predict(webgpu, transfer, work(0, 4e6, 1e6)), 2 + 4 + 2);
});

describe('what is remembered of calls', () => {
  test('nothing of a first one, which compiles; then the median of the last five', () => {
    const observations = new Observations();
    observations.add('a', 'wasm', 1000);
    assert.equal(observations.expected('a', 'wasm'), null);
    for (const time of [7, 5, 100]) observations.add('a', 'wasm', time);
    assert.equal(observations.expected('a', 'wasm'), 7);
    for (const time of [1, 2, 3, 4, 5]) observations.add('a', 'wasm', time);
    assert.equal(observations.expected('a', 'wasm'), 3);
  });

  test('of each device and kind of call by itself', () => {
    const observations = new Observations();
    for (const time of [1, 2]) observations.add('a', 'wasm', time);
    assert.equal(observations.expected('a', 'webgpu'), null);
    assert.equal(observations.expected('b', 'wasm'), null);
  });
});

describe('what is chosen', () => {
  test('by prediction: small calls in WebAssembly, large ones on the card', () => {
    const scheduler = new Scheduler(calibration);
    assert.equal(scheduler.decide(callOf(1e6)).device, 'wasm');
    const { device, reason, wasm, webgpu } = scheduler.decide(callOf(1e9));
    assert.deepEqual([device, reason], ['webgpu', 'predicted to be faster']);
    assert.ok(Math.abs(wasm.milliseconds - 100.05) < 1e-9);
    assert.ok(Math.abs(webgpu.milliseconds - 6) < 1e-9);
  });

  test('transfers count: what is on the card already stays there', () => {
    const scheduler = new Scheduler(calibration);
    const call = { key: 'x', wasm: work(3e7, 0, 0), webgpu: work(3e7, 8e6, 8e6) };
    assert.equal(scheduler.decide(call).device, 'wasm');
    const resident = { key: 'y', wasm: work(3e7, 8e6, 8e6), webgpu: work(3e7) };
    assert.equal(scheduler.decide(resident).device, 'webgpu');
  });

  test('a device that is predicted to be far slower is never tried', () => {
    const scheduler = new Scheduler(calibration);
    const call = callOf(1e6);
    for (let count = 0; count < 20; ++count) {
      const { device } = scheduler.decide(call);
      assert.equal(device, 'wasm');
      scheduler.observe(call, device, 0.2);
    }
  });

  /**
   * Devices whose calls take `times`, with noise of up to 3 % either way and a first call that takes ten times as long.
   * Returns the last decisions, after `warmUp` calls.
   */
  function play(times, { calls = 40, warmUp = 10, noise = () => 1, flops = 1e8 } = {}) {
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

  test('never the slower one by more than 15 % once both were seen', () => {
    const time = fc.double({ min: 0.01, max: 1000, noNaN: true });
    fc.assert(
      fc.property(
        time,
        time,
        fc.array(fc.double({ min: 0.97, max: 1.03, noNaN: true }), { minLength: 40, maxLength: 40 }),
        (wasm, webgpu, noise) => {
          const times = { wasm, webgpu };
          const { chosen, seen } = play(times, { noise: (count) => noise[count] });
          if (seen.wasm < 2 || seen.webgpu < 2) return;
          const fastest = Math.min(wasm, webgpu);
          for (const device of chosen)
            assert.ok(times[device] <= 1.15 * fastest, `${device} of ${JSON.stringify(times)}`);
        },
      ),
      runs(300),
    );
  });

  test('a prediction that is off by less than two is put right by trying', () => {
    // Predicted: 10.05 ms in WebAssembly, 5.1 ms on the card.
    const { chosen } = play({ wasm: 3, webgpu: 6 });
    assert.deepEqual([...new Set(chosen)], ['wasm']);
  });

  test('a single call that was disturbed does not decide for ever', () => {
    for (let disturbed = 0; disturbed < 8; ++disturbed) {
      const { chosen } = play({ wasm: 3, webgpu: 5 }, { noise: (count) => (count === disturbed ? 30 : 1) });
      assert.deepEqual([...new Set(chosen)], ['wasm'], `call ${disturbed} was disturbed`);
    }
  });

  test('a device that grows slow is left', () => {
    const scheduler = new Scheduler(calibration);
    const call = callOf(1e8);
    for (const device of ['wasm', 'webgpu'])
      for (let count = 0; count < 6; ++count) scheduler.observe(call, device, device === 'wasm' ? 10 : 5);
    assert.equal(scheduler.decide(call).device, 'webgpu');
    for (let count = 0; count < 3; ++count) scheduler.observe(call, 'webgpu', 30);
    assert.equal(scheduler.decide(call).device, 'wasm');
  });

  test('in words: the device, the reason and both figures', () => {
    const scheduler = new Scheduler(calibration);
    assert.equal(
      decisionText(scheduler.decide(callOf(1e9))),
      'webgpu: predicted to be faster; wasm: 100.05 ms predicted (1000.00 MFLOP, 0.00 MB up, 0.00 MB down); ' +
        'webgpu: 6.00 ms predicted (1000.00 MFLOP, 1.00 MB up, 1.00 MB down)',
    );
    assert.equal(
      decisionText({ device: 'wasm', reason: 'asked for', wasm: null, webgpu: null }),
      'wasm: asked for',
    );
  });
});
