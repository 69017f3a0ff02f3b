// A denoiser that is trained by WebGPU against the same one that is trained in WebAssembly, whose gradients are checked by
// central differences; and what becomes of it where a card fails.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { assertNoUncapturedErrors, counts, requestTestDevice, settle } from '../support/webgpu.mjs';
import {
  ArgumentError,
  DeviceError,
  devices,
  DisposedError,
  expectNoMemory,
  file32,
  install,
  OutOfMemoryError,
  tinyModel,
} from '../support/webgpu_denoiser.mjs';
import { failBuffer } from '../support/webgpu_faults.mjs';
import { parseSafetensors } from '../support/safetensors.mjs';

const rate = 0.003;
const options = { seed: 3, batch: 3 };
const stateOf = (trainer) => parseSafetensors(trainer.saveCheckpoint());
const moments = 'adam.mean.';

expectNoMemory();
afterEach(async () => {
  await settle();
  assertNoUncapturedErrors();
  assert.equal(counts.alive, 0, 'buffers are alive');
});

/** A model with a trainer, and that trainer on the card. `changes`: of the model's options. */
async function onCard(own, gpuOptions, trainerOptions = options, changes = null) {
  const { model, trainer } = inWasm(own, trainerOptions, changes);
  return { model, trainer, training: own(await trainer.onWebGPU(gpuOptions)) };
}
function inWasm(own, trainerOptions = options, changes = null) {
  const model = tinyModel(own, changes);
  return { model, trainer: own(model.trainer(trainerOptions)) };
}
const take = (trainer, steps) => Array.from({ length: steps }, () => trainer.step(rate).loss);

/**
 * After one step the means of gradients are a tenth of the gradients. So many operators in a row, each with sums of up to 300
 * terms of two roundings, on both sides: of the largest magnitude, where errors are random.
 */
const gradientTolerance = (operators) => 2 * Math.sqrt(operators) * Math.sqrt(300) * 2 * 2 ** -24;

/** Takes a step on either side; how many parameters there are, and the largest difference of a gradient. */
async function compareGradients(own, operators, changes = null) {
  const { trainer: expected } = inWasm(own, options, changes);
  const { trainer, training } = await onCard(own, {}, options, changes);
  const { loss } = expected.step(rate);
  const found = await training.step(rate);
  assert.equal(found.step, 1);
  assertClose([found.loss], [loss], 1e-6 * loss, 'loss');
  await training.synchronize();
  const actual = stateOf(trainer).tensors;
  let worst = 0;
  let count = 0;
  for (const [name, { values }] of stateOf(expected).tensors) {
    if (!name.startsWith(moments)) continue;
    const most = maximumMagnitude(values);
    assert.ok(most > 0, `${name} has no gradient`);
    const tolerance = gradientTolerance(operators) * most;
    const difference = assertClose(actual.get(name).values, values, tolerance, name);
    worst = Math.max(worst, difference / most);
    count++;
  }
  return { worst, count };
}

describe('a training by WebGPU', () => {
  test('has the loss and the gradients of the one in WebAssembly, of every parameter', (context) =>
    scoped(async (own) => {
      const { worst, count } = await compareGradients(own, 60);
      context.diagnostic(`${count} parameters, at most ${worst} of the largest magnitude`);
    }));

  for (const [name, operators, changes] of [
    [
      'without pixel and text blocks, heads of 10',
      30,
      { pixelBlocks: 0, textBlocks: 0, features: 20, blocks: 1 },
    ],
    [
      'a token a pixel, sizes that are no multiples of 4',
      60,
      { patch: 1, pixelFeatures: 5, textFeatures: 6 },
    ],
    [
      'two levels, several pixel and text blocks',
      120,
      { pixelFeatures: 8, patch: 4, pixelBlocks: 2, textBlocks: 2, blocks: 3 },
    ],
  ]) {
    test(`has them for a model of other sizes: ${name}`, (context) =>
      scoped(async (own) => {
        const { worst } = await compareGradients(own, operators, changes);
        context.diagnostic(`at most ${worst} of the largest magnitude`);
      }));
  }

  test('takes the same steps of the same seed; the trainer goes on with what the card has', (context) =>
    scoped(async (own) => {
      const { model: wasmModel, trainer: expected } = inWasm(own);
      const { model, trainer, training } = await onCard(own);
      const losses = take(expected, 4);
      const found = [];
      for (let step = 1; step <= 4; ++step) found.push((await training.step(rate)).loss);
      // Adam divides by the gradient's size: where that is rounding errors alone, a number may go another way, and matters little.
      const tolerance = 1e-5;
      const differences = found.map((loss, at) => Math.abs(loss - losses[at]) / losses[at]);
      context.diagnostic(`${differences}`);
      assert.ok(Math.max(...differences) < tolerance, `${found} in place of ${losses}`);

      const before = file32(model);
      await training.synchronize();
      assert.notDeepEqual(file32(model), before);
      assert.equal(stateOf(trainer).metadata.step, '4');
      training.dispose();
      const next = trainer.step(rate);
      assert.equal(next.step, 5);
      const { loss } = expected.step(rate);
      assert.ok(Math.abs(next.loss - loss) < tolerance * loss, `${next.loss} in place of ${loss}`);
      const [one, other] = [wasmModel, model].map((each) => parseSafetensors(file32(each)).tensors);
      for (const [name, { values }] of one) {
        // A number that goes another way is off by two steps each time; few are, and by more than a hundredth of a step fewer yet.
        const differences = values.map((value, at) => Math.abs(value - other.get(name).values[at]));
        assert.ok(maximumMagnitude(differences) <= 2 * 5 * rate, name);
        const off = differences.filter((difference) => difference > rate / 100).length;
        assert.ok(off <= values.length / 50, `${name}: ${off} of ${values.length} numbers are off`);
      }
    }));

  test('averages parameters as the one in WebAssembly', () =>
    scoped(async (own) => {
      const { trainer: expected } = inWasm(own);
      const { trainer, training } = await onCard(own);
      take(expected, 2);
      await training.step(rate);
      await training.step(rate);
      await training.synchronize();
      const state = stateOf(trainer).tensors;
      for (const [name, { values }] of stateOf(expected).tensors) {
        if (!name.startsWith('average.')) continue;
        assertClose(state.get(name).values, values, 2 * 2 * rate, name);
        assert.notDeepEqual(state.get(name).values, state.get(name.slice('average.'.length)).values);
      }
    }));

  test('may be asked for steps before the last one is done: they are the same', () =>
    scoped(async (own) => {
      const [one, other] = [await onCard(own), await onCard(own)];
      const awaited = [];
      for (let step = 0; step < 3; ++step) awaited.push(await one.training.step(rate));
      assert.deepEqual(await Promise.all([1, 2, 3].map(() => other.training.step(rate))), awaited);
      await Promise.all([one, other].map(({ training }) => training.synchronize()));
      assert.deepEqual(other.trainer.saveCheckpoint(), one.trainer.saveCheckpoint());
    }));

  test('is synchronized as it was when that was asked for, whatever is asked for meanwhile', () =>
    scoped(async (own) => {
      const { trainer, training } = await onCard(own);
      const asked = [training.step(rate)];
      const first = training.synchronize().then(() => stateOf(trainer));
      asked.push(training.step(rate));
      const second = training.synchronize().then(() => stateOf(trainer));
      await Promise.all(asked);
      const states = await Promise.all([first, second]);
      assert.deepEqual(
        states.map(({ metadata }) => metadata.step),
        ['1', '2'],
      );
      const alone = await onCard(own);
      await alone.training.step(rate);
      await alone.training.synchronize();
      assert.deepEqual(states[0].tensors, stateOf(alone.trainer).tensors);
    }));

  test('goes on after a checkpoint, and with other shares of scenes and times', () =>
    scoped(async (own) => {
      const others = {
        ...options,
        insides: 0.5,
        singles: 0.5,
        timeMean: 1,
        timeDeviation: 0.5,
        alignment: 2,
      };
      const model = tinyModel(own);
      const wasm = own(model.trainer(others));
      const { model: cardModel, trainer, training } = await onCard(own, {}, others);
      const loss = wasm.step(rate).loss;
      assertClose([(await training.step(rate)).loss], [loss], 1e-6 * loss, 'first loss');
      training.dispose();
      // The card's step was not synchronized: it is as if it had not been.
      assert.deepEqual(file32(cardModel), file32(tinyModel(own)));
      trainer.loadCheckpoint(wasm.saveCheckpoint());
      const again = own(await trainer.onWebGPU());
      const second = wasm.step(rate).loss;
      assert.equal((await again.step(rate)).step, 2);
      assert.ok(second > 0);
    }));

  test('says which card it is, and leaves a device of the user alone', () =>
    scoped(async (own) => {
      const gpuDevice = await requestTestDevice();
      const before = devices.length;
      const { training } = await onCard(own, { gpuDevice });
      assert.equal(devices.length, before);
      assert.match(training.description, /\w/);
      await training.step(rate);
      training.dispose();
      const buffer = gpuDevice.createBuffer({ size: 16, usage: 128 });
      buffer.destroy();
      gpuDevice.destroy();
    }));
});

describe('while a training is on a card', () => {
  test('its trainer takes no steps of its own, but saves and shows averages', () =>
    scoped(async (own) => {
      const { model, trainer, training } = await onCard(own);
      const file = trainer.saveCheckpoint();
      assertThrows(() => trainer.step(rate), ArgumentError, 'WebGPU', 'step', 'disposed of');
      assertThrows(() => trainer.loadCheckpoint(file), ArgumentError, 'WebGPU', 'loadCheckpoint');
      await assertRejects(() => trainer.onWebGPU(), ArgumentError, 'WebGPU', 'onWebGPU');
      assert.deepEqual(
        trainer.withAverages(() => file32(model)),
        file32(model),
      );
      await training.step(rate);
      assert.deepEqual(trainer.saveCheckpoint(), file);
      training.dispose();
      assert.equal(trainer.step(rate).step, 1);
    }));

  test('wrong arguments are refused, and nothing has changed', () =>
    scoped(async (own) => {
      const { trainer, training } = await onCard(own);
      for (const learningRate of [-0.1, NaN, Infinity, '1', undefined]) {
        await assertRejects(() => training.step(learningRate), ArgumentError, 'learningRate', 'it takes');
      }
      assert.equal((await training.step(rate)).step, 1);
      training.dispose();
      for (const wrong of [null, 5, {}]) {
        await assertRejects(() => trainer.onWebGPU({ gpuDevice: wrong }), ArgumentError, 'gpuDevice');
      }
      await assertRejects(() => trainer.onWebGPU(7), ArgumentError, 'options');
    }));

  test('it is at its end with its trainer, and with its denoiser', () =>
    scoped(async (own) => {
      const one = await onCard(own);
      one.trainer.dispose();
      assert.equal(one.training.disposed, true);
      await assertRejects(() => one.training.step(rate), DisposedError, 'WebGPU');
      await assertRejects(() => one.training.synchronize(), DisposedError, 'WebGPU');
      const other = await onCard(own);
      other.model.dispose();
      await assertRejects(() => other.training.step(rate), DisposedError, 'denoiser');
      await assertRejects(() => other.training.synchronize(), DisposedError, 'denoiser');
    }));
});

describe('where there is no card, or it fails,', () => {
  test('onWebGPU rejects with a DeviceError that says why', () =>
    scoped(async (own) => {
      const { trainer } = inWasm(own);
      const causes = [
        [{ adapter: () => null }, 'no adapter answers'],
        [{ device: () => Promise.reject(new Error('none, says the test')) }, 'none, says the test'],
      ];
      try {
        for (const [gpu, why] of causes) {
          install(gpu);
          await assertRejects(() => trainer.onWebGPU(), DeviceError, 'there is no WebGPU device', why);
        }
      } finally {
        install();
      }
      assert.equal(trainer.step(rate).step, 1);
    }));

  test('a device that is lost ends the training; denoiser and trainer are as they were', () =>
    scoped(async (own) => {
      const { model, trainer, training } = await onCard(own);
      await training.step(rate);
      await training.synchronize();
      const [file, checkpoint] = [file32(model), trainer.saveCheckpoint()];
      await training.step(rate);
      devices.at(-1).destroy();
      for (const call of [
        () => training.step(rate),
        () => training.synchronize(),
        () => training.step(rate),
      ]) {
        await assertRejects(call, DeviceError, 'lost');
      }
      assert.deepEqual(file32(model), file);
      assert.deepEqual(trainer.saveCheckpoint(), checkpoint);
      training.dispose();
      assert.equal(trainer.step(rate).step, 2);
    }));

  test('memory that cannot be had is an OutOfMemoryError; what was taken is freed', () =>
    scoped(async (own) => {
      const { trainer } = inWasm(own);
      /** Starts a training whose buffer number `place` fails; returns the number of buffers. */
      const startWith = async (place) => {
        const gpuDevice = await requestTestDevice();
        const fault = failBuffer(gpuDevice, place);
        const starting = trainer.onWebGPU({ gpuDevice });
        const training = await starting.catch(() => null);
        if (fault.failed()) await assertRejects(() => starting, OutOfMemoryError, 'no memory');
        else training.dispose();
        fault.end();
        assert.equal(counts.alive, 0, `buffers are alive after the failure of ${fault.label()}`);
        gpuDevice.destroy();
        return { failed: fault.failed(), total: fault.count() };
      };
      let { total } = await startWith(Infinity);
      for (const placeOf of [
        () => total - 1,
        () => total - 2,
        () => Math.floor(total / 2),
        () => Math.floor(total / 3),
      ]) {
        // Measured times decide how many buffers a start needs: if there are fewer than the last time, it is tried again.
        let result = { failed: false, total };
        for (let attempt = 0; attempt < 10 && !result.failed; ++attempt) {
          ({ total } = result);
          result = await startWith(placeOf());
        }
        assert.ok(result.failed, `no start needed ${total} buffers again`);
      }
      assert.equal(trainer.step(rate).step, 1);
    }));

  test('a training that is too large for the device is refused', () =>
    scoped(async (own) => {
      const model = tinyModel(own);
      const trainer = own(model.trainer({ batch: 64 }));
      const limits = { maxBufferSize: 2 ** 16, maxStorageBufferBindingSize: 2 ** 16 };
      const gpuDevice = await requestTestDevice({ limits });
      await assertRejects(() => trainer.onWebGPU({ gpuDevice }), OutOfMemoryError, 'the device takes 65536');
      gpuDevice.destroy();
    }));
});
