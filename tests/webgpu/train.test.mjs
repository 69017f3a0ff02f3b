// npm run train --engine webgpu: the losses of --engine wasm, and a checkpoint that either goes on from.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { inWasm, onWebGpu, train } from '../../tools/train/package.mjs';
import { files, listener, settings } from '../support/train_settings.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';
import { expectNoMemory, install } from '../support/webgpu_denoiser.mjs';

expectNoMemory();

let out;
beforeEach(() => (out = files()));
afterEach(async () => {
  rmSync(out.folder, { recursive: true });
  await settle();
  assertNoUncapturedErrors();
  assert.equal(counts.alive, 0, 'buffers are alive');
});

/** `fall`: the learning rate does not depend on where a run ends. */
const lossesOf = async (start, steps, where = out) => {
  const progress = listener();
  await train({ ...settings, steps, fall: 0 }, where, progress, start);
  return progress.told.steps.map(({ loss }) => loss);
};
/** See denoiser_training.test.mjs. */
const assertAlike = (losses, expected) => {
  assert.equal(losses.length, expected.length);
  losses.forEach((loss, at) =>
    assert.ok(Math.abs(loss - expected[at]) < 1e-5 * expected[at], `${losses} in place of ${expected}`),
  );
};

test('takes the steps of --engine wasm, and either goes on where the other has stopped', async () => {
  const other = files();
  try {
    const expected = await lossesOf(inWasm, 4, other);
    const card = await lossesOf(onWebGpu, 2);
    const wasm = await lossesOf(inWasm, 3);
    const again = await lossesOf(onWebGpu, 4);
    assertAlike([...card, ...wasm, ...again], expected);
  } finally {
    rmSync(other.folder, { recursive: true });
  }
});

test('says that there is no card', async () => {
  install({ adapter: () => null });
  try {
    await assert.rejects(
      train(settings, out, listener(), onWebGpu),
      /--engine webgpu: there is no WebGPU device: no adapter answers; it takes a graphics card/,
    );
  } finally {
    install();
  }
});
