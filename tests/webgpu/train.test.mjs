// Tests of `npm run train -- --engine webgpu`: losses and checkpoints as with --engine wasm.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { inWasm, onWebGpu, train } from '../../tools/train/package.mjs';
import { files, progressRecorder, settings } from '../support/train_settings.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';
import { expectNoMemoryAfterEach, install } from '../support/webgpu_denoiser.mjs';

expectNoMemoryAfterEach();

let out;
beforeEach(() => (out = files()));
afterEach(async () => {
  rmSync(out.folder, { recursive: true });
  await settle();
  assertNoUncapturedErrors();
  assert.equal(counts.alive, 0, 'buffers are alive');
});

/** With `fall: 0` the learning rate does not depend on the number of steps. */
const lossesOf = async (start, steps, where = out) => {
  const progress = progressRecorder();
  await train({ ...settings, steps, fall: 0 }, where, progress, start);
  return progress.recorded.steps.map(({ loss }) => loss);
};
/** See denoiser_training.test.mjs. */
const assertNear = (losses, expected) => {
  assert.equal(losses.length, expected.length);
  losses.forEach((loss, index) => {
    const difference = Math.abs(loss - expected[index]);
    assert.ok(difference < 1e-5 * expected[index], `losses are ${losses}; expected ${expected}`);
  });
};

test('makes the steps of --engine wasm; each engine continues from the checkpoint of the other', async () => {
  const other = files();
  try {
    const expected = await lossesOf(inWasm, 4, other);
    const first = await lossesOf(onWebGpu, 2);
    const second = await lossesOf(inWasm, 3);
    const third = await lossesOf(onWebGpu, 4);
    assertNear([...first, ...second, ...third], expected);
  } finally {
    rmSync(other.folder, { recursive: true });
  }
});

test('throws an error if there is no WebGPU device', async () => {
  install({ adapter: () => null });
  try {
    await assert.rejects(train(settings, out, progressRecorder(), onWebGpu), /--engine.*webgpu.*adapter/);
  } finally {
    install();
  }
});
