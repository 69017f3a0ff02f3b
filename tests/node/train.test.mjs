// npm run train --engine wasm: written files, interruptions, and invalid settings.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parseArguments } from '../../tools/lib/command_line.mjs';
import { project } from '../../tools/lib/paths.mjs';
import { command } from '../../tools/train/options.mjs';
import { inWasm, train } from '../../tools/train/package.mjs';
import { Denoiser, expectNoMemoryAfterEach } from '../support/denoiser.mjs';
import { parseSafetensors } from '../support/safetensors.mjs';
import { files, progressRecorder, settings } from '../support/train_settings.mjs';

expectNoMemoryAfterEach();

let out;
beforeEach(() => (out = files()));
afterEach(() => rmSync(out.folder, { recursive: true }));

const trained = async (changes = {}, where = out) => {
  const progress = progressRecorder();
  await train({ ...settings, ...changes }, where, progress, inWasm);
  assert.equal(progress.recorded.ended, 1);
  return progress.recorded;
};

test('reports each step and writes a checkpoint and weights that can be loaded', async () => {
  const { begun, steps } = await trained();
  assert.deepEqual(
    steps.map(({ step }) => step),
    [1, 2, 3, 4, 5],
  );
  assert.ok(steps.every(({ loss, seconds }) => loss > 0 && seconds > 0));
  const model = Denoiser.load(readFileSync(out.weights));
  assert.deepEqual(begun, { parameters: model.parameterCount, step: 0, steps: 5 });
  const trainer = model.trainer();
  trainer.loadCheckpoint(readFileSync(out.checkpoint));
  assert.equal(trainer.steps, 5);
  // The weights are the averages (EMA).
  const average = parseSafetensors(readFileSync(out.checkpoint)).tensors.get('average.positions').values;
  const { values } = parseSafetensors(readFileSync(out.weights)).tensors.get('positions');
  // Half a unit in the last place of float16's eleven bits.
  values.forEach((value, at) =>
    assert.ok(Math.abs(value - average[at]) <= 2 ** -11 * Math.abs(average[at]) + 2 ** -25),
  );
  trainer.dispose();
  model.dispose();
});

test('continues after an interruption with the same losses', async () => {
  const whole = await trained({ fall: 0 });
  const other = files();
  try {
    // Stopped after a checkpoint.
    const first = await trained({ steps: 3, fall: 0 }, other);
    const second = await trained({ fall: 0 }, other);
    assert.equal(second.begun.step, 3);
    const losses = [...first.steps, ...second.steps].map(({ loss }) => loss);
    assert.deepEqual(
      losses,
      whole.steps.map(({ loss }) => loss),
    );
    assert.deepEqual(readFileSync(other.checkpoint), readFileSync(out.checkpoint));
  } finally {
    rmSync(other.folder, { recursive: true });
  }
});

test('starts from given weights', async () => {
  await trained({ steps: 1 });
  const other = files();
  try {
    const from = await trained({ steps: 1, from: out.weights, features: 32 }, other);
    assert.equal(from.begun.step, 0);
    const shapes = (file) => parseSafetensors(readFileSync(file)).tensors.get('positions').shape;
    assert.deepEqual(shapes(other.weights), shapes(out.weights));
  } finally {
    rmSync(other.folder, { recursive: true });
  }
});

test('invalid settings are named, and nothing is written', async () => {
  for (const [name, wrong] of [
    ['batch', 0],
    ['insides', 1.5],
  ]) {
    await assert.rejects(
      train({ ...settings, [name]: wrong }, out, progressRecorder(), inWasm),
      new RegExp(name),
    );
    assert.equal(existsSync(out.checkpoint), false);
  }
});

test('the command line refuses invalid settings', () => {
  for (const [args, message] of [
    [['--steps', 'many'], /^--steps is many; expected an integer of at least 1$/],
    [['--batch', ''], /^--batch is ""; expected a multiple of 16 of at least 16$/],
    [['--batch', '24'], /^--batch is 24; /],
    [['--learning-rate', 'NaN'], /^--learning-rate is NaN; expected a number of at least 0$/],
    [['--singles', '0.8'], /^--singles \+ --insides is 1\.15; expected at most 1$/],
    [['--heads', '3'], /^--features is 128; expected a multiple of 4 and of --heads \(3\)$/],
    [['--from', 'no such file'], /^--from is no such file; expected an existing file$/],
  ]) {
    assert.throws(() => parseArguments(command, args), { name: 'UsageError', message });
  }
  const values = parseArguments(command, ['--time-mean', '-1', '--fresh']);
  assert.equal(path.resolve(values.out), path.join(project, 'build/training'));
  assert.deepEqual([values['time-mean'], values.fresh, values.from], [-1, true, undefined]);
});
