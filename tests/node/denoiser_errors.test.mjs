// Tests of errors of the denoiser: invalid arguments and calls in the wrong order throw, name the argument,
// its value and the allowed values, and change nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import * as denoiser from '../support/denoiser.mjs';
import { fineTunerOptions } from '../support/denoiser_fine_tuning.mjs';
import { assertRejects, assertThrows, codes } from '../support/errors.mjs';

const { ArgumentError, CrossAttentionError, Denoiser, DisposedError, memoryInUse } = denoiser;
const { expectNoMemoryAfterEach, init, samplePicture, randomFile, randomModel, randomScene, runtimeInfo } =
  denoiser;

expectNoMemoryAfterEach();

const prompt = 'a red circle';

test('the error classes are the same as those of the main entry', () => {
  for (const errorClass of codes.keys()) assert.equal(denoiser[errorClass.name], errorClass);
});

test('all functions throw NotInitializedError before init', async () => {
  const thrown = await runForValue(`
    import {
      Denoiser, memoryInUse, NotInitializedError, randomScene,
    } from 'diffusion-cross-attention/denoiser';
    const calls = [
      () => Denoiser.create(),
      () => Denoiser.load(new Uint8Array(100)),
      () => randomScene(),
      () => memoryInUse(),
    ];
    console.log(JSON.stringify(calls.map((call) => {
      try { call(); } catch (error) { return error instanceof NotInitializedError && error.message; }
    })));`);
  assert.equal(thrown.length, 4);
  for (const message of thrown) assert.match(String(message), /await init\(\)/);
});

test('init rejects invalid options; later calls return the information of the first', async () => {
  await assertRejects(() => init({ threads: 0 }), ArgumentError, 'threads', '1 to 64');
  await assertRejects(() => init({ simd: 'avx' }), ArgumentError, 'simd', 'relaxed');
  await assertRejects(() => init({ wasmBaseUrl: 5 }), ArgumentError, 'wasmBaseUrl', 'URL');
  await assertRejects(() => init('auto'), ArgumentError, 'options', 'an object');
  assert.equal(await init({ threads: 5 }), runtimeInfo);
  assert.throws(() => {
    runtimeInfo.threads = 100;
  }, TypeError);
});

describe('options of create', () => {
  const failures = [
    ...['imageSize', 'patch', 'features', 'blocks', 'heads', 'textFeatures', 'textHeads'].flatMap((name) =>
      [0, -4, 16385, 2 ** 53].map((value) => [{ [name]: value }, name, String(value)]),
    ),
    [{ textBlocks: -1 }, 'textBlocks', '-1'],
    [{ imageSize: 30 }, 'imageSize is 30', 'multiple of patch', '4'],
    [{ patch: 5 }, 'patch is 5', 'a power of two'],
    [{ imageSize: 36, patch: 8 }, 'imageSize is 36', 'multiple of patch', '8'],
    [{ features: 30, heads: 3 }, 'features is 30', 'multiple', '4'],
    [{ features: 32, heads: 3 }, 'features is 32', 'multiple of', '3'],
    [{ textFeatures: 30, textHeads: 4 }, 'textFeatures is 30', 'multiple of textHeads', '4'],
    ...['imageSize', 'blocks', 'heads', 'seed'].flatMap((name) =>
      [0.5, NaN, '8', null, 2 ** 53].map((value) => [{ [name]: value }, name, 'an integer']),
    ),
    [{ seed: -1 }, 'seed', 'an integer'],
  ];

  test('invalid values throw ArgumentError and name the option', () => {
    for (const [options, ...parts] of failures) {
      assertThrows(() => Denoiser.create({ ...denoiser.smallOptions, ...options }), ArgumentError, ...parts);
    }
    for (const wrong of [5, 'small', true]) {
      assertThrows(() => Denoiser.create(wrong), ArgumentError, 'options', 'an object');
    }
  });

  test('0 text blocks and small sizes are valid', () =>
    scoped((own) => {
      const options = {
        imageSize: 8,
        patch: 2,
        features: 8,
        blocks: 1,
        heads: 2,
        textFeatures: 6,
        seed: undefined,
      };
      const model = own(Denoiser.create({ ...options, textBlocks: 0, textHeads: 1 }));
      const { imageSize, mapSize, blocks, heads, maxWords } = model;
      assert.deepEqual([imageSize, mapSize, blocks, heads, maxWords], [8, 4, 1, 2, 23]);
      assert.equal(samplePicture(model, { prompt, steps: 1 }).length, 3 * 8 * 8);
    }));
});

describe('options of sampler', () => {
  const failures = [
    [{ prompt: 'a zebra on a purple unicorn' }, "'zebra', 'unicorn'", 'vocabulary'],
    [{ prompt: 'Ångström' }, "'"],
    [{ prompt: 'red '.repeat(24) }, '24 words', 'at most 23'],
    ...[undefined, null, 5, ['a'], {}].map((wrong) => [{ prompt: wrong }, 'prompt', 'a string']),
    ...[-1, 0.5, NaN, 2 ** 53, '1', null].map((seed) => [{ seed }, 'seed', 'an integer']),
    ...[0, 1001, 1.5, NaN, '20', null].map((steps) => [{ steps }, 'steps', '1 to 1000']),
    ...[-0.1, 100.1].map((guidance) => [{ guidance }, 'guidance', '0 to 100']),
    ...[NaN, Infinity, '3', null].map((guidance) => [{ guidance }, 'guidance', 'a finite number']),
    ...[-0.1, 1.1].map((eta) => [{ eta }, 'eta', '0 to 1']),
    ...[NaN, '0', null].map((eta) => [{ eta }, 'eta', 'a finite number']),
    ...[1, 'yes', null].map((maps) => [{ maps }, 'maps', 'true or false']),
  ];

  test('invalid values throw ArgumentError and name the option', () =>
    scoped((own) => {
      const model = randomModel(own);
      for (const [options, ...parts] of failures) {
        assertThrows(() => model.sampler({ prompt, ...options }), ArgumentError, ...parts);
      }
      for (const wrong of [undefined, null, prompt, 5]) {
        assertThrows(() => model.sampler(wrong), ArgumentError, 'options', 'an object');
      }
      for (const wrong of [undefined, 5, null]) {
        assertThrows(() => model.splitWords(wrong), ArgumentError, 'prompt', 'a string');
        assertThrows(() => model.unknownWords(wrong), ArgumentError, 'prompt', 'a string');
      }
      assert.deepEqual(model.unknownWords('A zebra, a red unicorn?'), ['zebra', 'unicorn']);
    }));
});

test('200 errors leak no memory and do not change pictures', () =>
  scoped((own) => {
    const model = randomModel(own);
    const sampler = own(model.sampler({ prompt, seed: 1, steps: 4 }));
    sampler.advance();
    const corrupt = randomFile().subarray(0, 5000);
    const failures = [
      () => model.sampler({ prompt: 'a zebra' }),
      () => model.sampler({ prompt, guidance: 101 }),
      () => model.sampler({ prompt, wordWeights: [1] }),
      () => model.sampler({ prompt, edit: { from: 'a zebra' } }),
      () => model.sampler({ prompt, edit: { from: prompt, crossSteps: 2 } }),
      () => sampler.maps({ head: 9 }),
      () => Denoiser.load(corrupt),
      () => Denoiser.load(randomFile({ blocks: 1 }).subarray(0, -4)),
      () => Denoiser.create({ heads: 5 }),
      () => model.saveLora(),
      () => model.trainer({ batch: 0 }),
      () => randomScene({ objects: 1, split: 'heldOut' }),
    ];
    const round = () => {
      for (const failure of failures) assert.throws(failure, CrossAttentionError, `${failure}`);
    };
    round();
    const inUse = memoryInUse();
    for (let count = failures.length; count < 200; count += failures.length) round();
    assert.equal(memoryInUse(), inUse);
    // The unfinished sampler is not affected either.
    while (sampler.advance());
    assertSameBits(sampler.picture(), samplePicture(model, { prompt }), 'the picture');
  }));

describe('after dispose', () => {
  test('a denoiser throws DisposedError, except for its sizes', () => {
    const model = Denoiser.load(randomFile());
    const file = model.save();
    model.dispose();
    const members = {
      vocabulary: () => model.vocabulary,
      unknownWords: () => model.unknownWords(prompt),
      sampler: () => model.sampler({ prompt }),
      trainer: () => model.trainer(),
      fineTuner: () => model.fineTuner(fineTunerOptions()),
      // The deprecated name of fineTuner.
      learner: () => model.learner(fineTunerOptions()),
      loadLora: () => model.loadLora(file),
      saveLora: () => model.saveLora(),
      unloadLora: () => model.unloadLora(),
      'loraScale =': () => (model.loraScale = 1),
      save: () => model.save(),
    };
    for (const member of Object.values(members)) assertThrows(member, DisposedError, 'denoiser');
    assert.deepEqual([model.disposed, model.imageSize, model.mapSize, model.maxWords], [true, 32, 8, 23]);
    model.dispose();
    model[Symbol.dispose]();
  });

  test('a sampler throws DisposedError, except for its words and steps', () =>
    scoped((own) => {
      const sampler = own(randomModel(own).sampler({ prompt, steps: 3 }));
      sampler.advance();
      assert.equal(sampler.disposed, false);
      sampler[Symbol.dispose]();
      for (const member of [
        () => sampler.advance(),
        () => [...sampler],
        () => sampler.step,
        () => sampler.picture(),
        () => sampler.rgba(),
        () => sampler.maps(),
      ]) {
        assertThrows(member, DisposedError, 'sampler');
      }
      assert.deepEqual([sampler.disposed, sampler.words.join(' '), sampler.steps], [true, prompt, 3]);
    }));

  test('of its denoiser a sampler cannot advance; its picture and maps remain readable', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = own(model.sampler({ prompt, steps: 3 }));
      sampler.advance();
      const [picture, maps] = [sampler.picture(), sampler.maps()];
      model.dispose();
      assertThrows(() => sampler.advance(), DisposedError, 'denoiser');
      assertThrows(() => [...sampler], DisposedError, 'denoiser');
      assert.equal(sampler.step, 1);
      assertSameBits(sampler.picture(), picture, 'the picture');
      assertSameBits(sampler.maps(), maps, 'the maps');
    }));

  test('of its denoiser a fine-tuner is disposed too; a denoiser remains usable after its fine-tuner', () =>
    scoped((own) => {
      const model = randomModel(own);
      const fineTuner = model.fineTuner(fineTunerOptions());
      fineTuner.step();
      fineTuner.dispose();
      fineTuner.dispose();
      assertThrows(() => fineTuner.step(), DisposedError, 'FineTuner');
      samplePicture(model, { prompt });
      const next = model.fineTuner(fineTunerOptions());
      model.dispose();
      assert.equal(next.disposed, true);
      assertThrows(() => next.step(), DisposedError, 'FineTuner');
    }));
});
