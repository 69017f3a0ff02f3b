// Compares the training of a denoiser with WebGPU and in WebAssembly, whose gradients are checked with
// central differences, and tests failures of the device.
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
  expectNoMemoryAfterEach,
  saveFloat32,
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

expectNoMemoryAfterEach();
afterEach(async () => {
  await settle();
  assertNoUncapturedErrors();
  assert.equal(counts.alive, 0, 'buffers are alive');
});

/** Creates a model, a trainer and its training on the GPU. `changes` are options of the model. */
async function onGpu(own, gpuOptions, trainerOptions = options, changes = null) {
  const { model, trainer } = inWasm(own, trainerOptions, changes);
  return { model, trainer, training: own(await trainer.onWebGPU(gpuOptions)) };
}
function inWasm(own, trainerOptions = options, changes = null) {
  const model = tinyModel(own, changes);
  return { model, trainer: own(model.trainer(trainerOptions)) };
}
const lossesOf = (trainer, steps) => Array.from({ length: steps }, () => trainer.step(rate).loss);

/**
 * Allowed error of the first moments after one step (a tenth of the gradients), relative to the largest
 * magnitude, if errors are random: on both sides, `operators` in sequence, each with sums of up to 300 terms
 * with two roundings.
 */
const gradientTolerance = (operators) => 2 * Math.sqrt(operators) * Math.sqrt(300) * 2 * 2 ** -24;

/** Makes a step on both sides. Returns the number of parameters and the largest relative gradient error. */
async function compareGradients(own, operators, changes = null) {
  const { trainer: expected } = inWasm(own, options, changes);
  const { trainer, training } = await onGpu(own, {}, options, changes);
  const { loss } = expected.step(rate);
  const first = await training.step(rate);
  assert.equal(first.step, 1);
  assertClose([first.loss], [loss], 1e-6 * loss, 'loss');
  await training.synchronize();
  const actual = stateOf(trainer).tensors;
  let worst = 0;
  let count = 0;
  for (const [name, { values }] of stateOf(expected).tensors) {
    if (!name.startsWith(moments)) continue;
    const magnitude = maximumMagnitude(values);
    assert.ok(magnitude > 0, `${name} has no gradient`);
    const tolerance = gradientTolerance(operators) * magnitude;
    const difference = assertClose(actual.get(name).values, values, tolerance, name);
    worst = Math.max(worst, difference / magnitude);
    count++;
  }
  return { worst, count };
}

describe('training with WebGPU', () => {
  test('has the loss of WebAssembly and the same gradients of all parameters', (context) =>
    scoped(async (own) => {
      const { worst, count } = await compareGradients(own, 60);
      context.diagnostic(`${count} parameters, error at most ${worst} of the largest magnitude`);
    }));

  for (const [name, operators, changes] of [
    [
      'without pixel and text blocks, headDim 10',
      30,
      { pixelBlocks: 0, textBlocks: 0, features: 20, blocks: 1 },
    ],
    [
      'one token per pixel, sizes that are not multiples of 4',
      60,
      { patch: 1, pixelFeatures: 5, textFeatures: 6 },
    ],
    [
      'two levels, several pixel and text blocks',
      120,
      { pixelFeatures: 8, patch: 4, pixelBlocks: 2, textBlocks: 2, blocks: 3 },
    ],
  ]) {
    test(`the same for a model of other sizes: ${name}`, (context) =>
      scoped(async (own) => {
        const { worst } = await compareGradients(own, operators, changes);
        context.diagnostic(`error at most ${worst} of the largest magnitude`);
      }));
  }

  test('makes the steps of WebAssembly; the trainer continues from the synchronized state', (context) =>
    scoped(async (own) => {
      const { model: wasmModel, trainer: expected } = inWasm(own);
      const { model, trainer, training } = await onGpu(own);
      const losses = lossesOf(expected, 4);
      const actual = [];
      for (let step = 1; step <= 4; ++step) actual.push((await training.step(rate)).loss);
      // Adam divides by the magnitude of the gradient. If a gradient is only rounding errors, the parameter
      // may move in another direction; that has little effect on the loss.
      const tolerance = 1e-5;
      const differences = actual.map((loss, index) => Math.abs(loss - losses[index]) / losses[index]);
      context.diagnostic(`${differences}`);
      assert.ok(Math.max(...differences) < tolerance, `losses are ${actual}; expected ${losses}`);

      const before = saveFloat32(model);
      await training.synchronize();
      assert.notDeepEqual(saveFloat32(model), before);
      assert.equal(stateOf(trainer).metadata.step, '4');
      training.dispose();
      const next = trainer.step(rate);
      assert.equal(next.step, 5);
      const { loss } = expected.step(rate);
      assert.ok(Math.abs(next.loss - loss) < tolerance * loss, `loss is ${next.loss}; expected ${loss}`);
      const wasmTensors = parseSafetensors(saveFloat32(wasmModel)).tensors;
      const gpuTensors = parseSafetensors(saveFloat32(model)).tensors;
      for (const [name, { values }] of wasmTensors) {
        // A parameter that moves in another direction differs by two learning rates per step. Few do, and few
        // differ by more than 1/100 of the learning rate.
        const gpuValues = gpuTensors.get(name).values;
        const differences = values.map((value, index) => Math.abs(value - gpuValues[index]));
        assert.ok(maximumMagnitude(differences) <= 2 * 5 * rate, name);
        const count = differences.filter((difference) => difference > rate / 100).length;
        assert.ok(count <= values.length / 50, `${name}: ${count} of ${values.length} numbers differ`);
      }
    }));

  test('has the EMA of WebAssembly', () =>
    scoped(async (own) => {
      const { trainer: expected } = inWasm(own);
      const { trainer, training } = await onGpu(own);
      lossesOf(expected, 2);
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

  test('queued steps give the same result as awaited steps', () =>
    scoped(async (own) => {
      const [awaited, queued] = [await onGpu(own), await onGpu(own)];
      const results = [];
      for (let step = 0; step < 3; ++step) results.push(await awaited.training.step(rate));
      assert.deepEqual(await Promise.all([1, 2, 3].map(() => queued.training.step(rate))), results);
      await Promise.all([awaited, queued].map(({ training }) => training.synchronize()));
      assert.deepEqual(queued.trainer.saveCheckpoint(), awaited.trainer.saveCheckpoint());
    }));

  test('synchronize uses the state at the time of the call', () =>
    scoped(async (own) => {
      const { trainer, training } = await onGpu(own);
      const steps = [training.step(rate)];
      const first = training.synchronize().then(() => stateOf(trainer));
      steps.push(training.step(rate));
      const second = training.synchronize().then(() => stateOf(trainer));
      await Promise.all(steps);
      const states = await Promise.all([first, second]);
      assert.deepEqual(
        states.map(({ metadata }) => metadata.step),
        ['1', '2'],
      );
      const oneStep = await onGpu(own);
      await oneStep.training.step(rate);
      await oneStep.training.synchronize();
      assert.deepEqual(states[0].tensors, stateOf(oneStep.trainer).tensors);
    }));

  test('continues from a checkpoint, also with other shares of scenes and timesteps', () =>
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
      const { model: gpuModel, trainer, training } = await onGpu(own, {}, others);
      const loss = wasm.step(rate).loss;
      assertClose([(await training.step(rate)).loss], [loss], 1e-6 * loss, 'first loss');
      training.dispose();
      // The step was not synchronized and is lost.
      assert.deepEqual(saveFloat32(gpuModel), saveFloat32(tinyModel(own)));
      trainer.loadCheckpoint(wasm.saveCheckpoint());
      const again = own(await trainer.onWebGPU());
      const second = wasm.step(rate).loss;
      assert.equal((await again.step(rate)).step, 2);
      assert.ok(second > 0);
    }));

  test('describes the device; option gpuDevice is not destroyed', () =>
    scoped(async (own) => {
      const gpuDevice = await requestTestDevice();
      const before = devices.length;
      const { training } = await onGpu(own, { gpuDevice });
      assert.equal(devices.length, before);
      assert.match(training.description, /\w/);
      await training.step(rate);
      training.dispose();
      const buffer = gpuDevice.createBuffer({ size: 16, usage: 128 });
      buffer.destroy();
      gpuDevice.destroy();
    }));
});

describe('during training on the GPU', () => {
  test('the trainer cannot step or load, but save and run withEma', () =>
    scoped(async (own) => {
      const { model, trainer, training } = await onGpu(own);
      const file = trainer.saveCheckpoint();
      assertThrows(() => trainer.step(rate), ArgumentError, 'GpuTrainer', 'step', 'dispose');
      assertThrows(() => trainer.loadCheckpoint(file), ArgumentError, 'GpuTrainer', 'loadCheckpoint');
      await assertRejects(() => trainer.onWebGPU(), ArgumentError, 'GpuTrainer', 'onWebGPU');
      assert.deepEqual(
        trainer.withEma(() => saveFloat32(model)),
        saveFloat32(model),
      );
      await training.step(rate);
      assert.deepEqual(trainer.saveCheckpoint(), file);
      training.dispose();
      assert.equal(trainer.step(rate).step, 1);
    }));

  test('invalid arguments reject with ArgumentError and change nothing', () =>
    scoped(async (own) => {
      const { trainer, training } = await onGpu(own);
      for (const learningRate of [-0.1, NaN, Infinity, '1', undefined]) {
        await assertRejects(() => training.step(learningRate), ArgumentError, 'learningRate');
      }
      assert.equal((await training.step(rate)).step, 1);
      training.dispose();
      for (const wrong of [null, 5, {}]) {
        await assertRejects(() => trainer.onWebGPU({ gpuDevice: wrong }), ArgumentError, 'gpuDevice');
      }
      await assertRejects(() => trainer.onWebGPU(7), ArgumentError, 'options');
    }));

  test('training rejects with DisposedError after its trainer or denoiser is disposed', () =>
    scoped(async (own) => {
      const first = await onGpu(own);
      first.trainer.dispose();
      assert.equal(first.training.disposed, true);
      await assertRejects(() => first.training.step(rate), DisposedError, 'GpuTrainer');
      await assertRejects(() => first.training.synchronize(), DisposedError, 'GpuTrainer');
      const second = await onGpu(own);
      second.model.dispose();
      await assertRejects(() => second.training.step(rate), DisposedError, 'denoiser');
      await assertRejects(() => second.training.synchronize(), DisposedError, 'denoiser');
    }));
});

describe('without a device, or if it fails,', () => {
  test('onWebGPU rejects with DeviceError and the reason', () =>
    scoped(async (own) => {
      const { trainer } = inWasm(own);
      const causes = [
        [{ adapter: () => null }, 'adapter'],
        [{ device: () => Promise.reject(new Error('rejected by the test')) }, 'rejected by the test'],
      ];
      try {
        for (const [gpu, reason] of causes) {
          install(gpu);
          await assertRejects(() => trainer.onWebGPU(), DeviceError, 'WebGPU', reason);
        }
      } finally {
        install();
      }
      assert.equal(trainer.step(rate).step, 1);
    }));

  test('device loss ends the training and does not change the denoiser and trainer', () =>
    scoped(async (own) => {
      const { model, trainer, training } = await onGpu(own);
      await training.step(rate);
      await training.synchronize();
      const [file, checkpoint] = [saveFloat32(model), trainer.saveCheckpoint()];
      await training.step(rate);
      devices.at(-1).destroy();
      for (const call of [
        () => training.step(rate),
        () => training.synchronize(),
        () => training.step(rate),
      ]) {
        await assertRejects(call, DeviceError, 'lost');
      }
      assert.deepEqual(saveFloat32(model), file);
      assert.deepEqual(trainer.saveCheckpoint(), checkpoint);
      training.dispose();
      assert.equal(trainer.step(rate).step, 2);
    }));

  test('onWebGPU rejects with OutOfMemoryError if an allocation fails, and frees all buffers', () =>
    scoped(async (own) => {
      const { trainer } = inWasm(own);
      /** Starts a training whose buffer `index` fails. Returns the number of buffers. */
      const startWith = async (index) => {
        const gpuDevice = await requestTestDevice();
        const fault = failBuffer(gpuDevice, index);
        const starting = trainer.onWebGPU({ gpuDevice });
        const training = await starting.catch(() => null);
        if (fault.failed()) await assertRejects(() => starting, OutOfMemoryError, 'memory');
        else training.dispose();
        fault.end();
        assert.equal(counts.alive, 0, `buffers are alive after the failure of ${fault.label()}`);
        gpuDevice.destroy();
        return { failed: fault.failed(), total: fault.count() };
      };
      let { total } = await startWith(Infinity);
      for (const chooseIndex of [
        () => total - 1,
        () => total - 2,
        () => Math.floor(total / 2),
        () => Math.floor(total / 3),
      ]) {
        // The number of buffers depends on measured times; if a start needs fewer than the last one, it is
        // repeated.
        let result = { failed: false, total };
        for (let attempt = 0; attempt < 10 && !result.failed; ++attempt) {
          ({ total } = result);
          result = await startWith(chooseIndex());
        }
        assert.ok(result.failed, `no start needed ${total} buffers again`);
      }
      assert.equal(trainer.step(rate).step, 1);
    }));

  test('onWebGPU rejects if the training exceeds the limits of the device', () =>
    scoped(async (own) => {
      const model = tinyModel(own);
      const trainer = own(model.trainer({ batch: 64 }));
      const limits = { maxBufferSize: 2 ** 16, maxStorageBufferBindingSize: 2 ** 16 };
      const gpuDevice = await requestTestDevice({ limits });
      await assertRejects(() => trainer.onWebGPU({ gpuDevice }), OutOfMemoryError, '65536');
      gpuDevice.destroy();
    }));
});
