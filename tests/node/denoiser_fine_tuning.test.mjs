// Tests of fine-tuning a denoiser on a new word: the loss, what changes in the model, and invalid options.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits, worstDifference } from '../support/compare.mjs';
import {
  ArgumentError,
  Denoiser,
  expectNoMemoryAfterEach,
  saveFloat32,
  samplePicture,
} from '../support/denoiser.mjs';
import { randomFile, randomModel, ShapeError } from '../support/denoiser.mjs';
import { blobPictures, fineTunerOptions, fineTune, word } from '../support/denoiser_fine_tuning.mjs';
import { assertThrows } from '../support/errors.mjs';
import { parseSafetensors } from '../support/safetensors.mjs';

expectNoMemoryAfterEach();

const prompt = 'a red circle';
const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('a fine-tuner', () => {
  test('reduces the loss on four pictures to less than 0.7 of the initial loss in 60 steps', (context) =>
    scoped((own) => {
      const model = own(Denoiser.load(randomFile({ imageSize: 16 })));
      // A step draws 16 timesteps: the loss of a single sample depends strongly on its timestep.
      const options = { pictures: blobPictures(4, 16), batch: 16, rehearsal: 0, learningRate: 0.01 };
      const losses = fineTune(model, 60, options);
      const [first, last] = [meanOf(losses.slice(0, 10)), meanOf(losses.slice(-10))];
      context.diagnostic(`${first} → ${last}`);
      assert.ok(last < 0.7 * first, `${first} → ${last}`);
    }));

  test('counts its steps, has its word, and the same seed gives the same result', () =>
    scoped((own) => {
      const [first, same, other] = [5, 5, 6].map((seed) => {
        const model = randomModel(own);
        const fineTuner = own(model.fineTuner(fineTunerOptions({ seed })));
        assert.equal(fineTuner.word, word);
        const steps = [fineTuner.step(), fineTuner.step(), fineTuner.step()];
        assert.deepEqual(
          steps.map(({ step }) => step),
          [1, 2, 3],
        );
        assert.ok(steps.every(({ loss }) => Number.isFinite(loss) && loss > 0));
        return { losses: steps.map(({ loss }) => loss), file: model.saveLora() };
      });
      assert.deepEqual(same, first);
      assert.notDeepEqual(other.losses, first.losses);
    }));

  test('adds an embedding row to the model; all other parameters have the same bits', () =>
    scoped((own) => {
      const model = randomModel(own);
      const before = parseSafetensors(saveFloat32(model));
      fineTune(model, 3);
      const after = parseSafetensors(saveFloat32(model));
      assert.equal(after.metadata.vocabulary, `${before.metadata.vocabulary} ${word}`);
      assert.deepEqual([...after.tensors.keys()], [...before.tensors.keys()]);
      for (const [name, { shape, values }] of before.tensors) {
        const now = after.tensors.get(name);
        if (name === 'text.embedding.weight') {
          assert.deepEqual(now.shape, [shape[0] + 1, shape[1]]);
          assertSameBits(now.values.subarray(0, values.length), values, 'the other words');
          // The embedding starts as that of "circle" and is then trained.
          const id = before.metadata.vocabulary.split(' ').indexOf('circle') + 2;
          const circle = values.subarray(id * shape[1], (id + 1) * shape[1]);
          const { difference } = worstDifference(now.values.subarray(values.length), circle);
          // A step of Adam is at most a few learning rates (0.005 by default) long.
          assert.ok(difference > 1e-3 && difference < 0.1, `${difference}`);
        } else {
          assert.deepEqual(now.shape, shape);
          assertSameBits(now.values, values, name);
        }
      }
    }));

  test('starts with the embedding of `like`', () =>
    scoped((own) => {
      const model = randomModel(own);
      const starPicture = samplePicture(model, { prompt: 'a star' });
      own(model.fineTuner(fineTunerOptions({ like: 'star' })));
      assert.ok(model.vocabulary.includes(word));
      assert.deepEqual(model.unknownWords(`a ${word} and a zebra`), ['zebra']);
      assertSameBits(
        samplePicture(model, { prompt: `a ${word}` }),
        starPicture,
        'the picture before the first step',
      );
    }));

  test('samplers use the updates of the steps so far', () =>
    scoped((own) => {
      const model = randomModel(own);
      const fineTuner = own(model.fineTuner(fineTunerOptions()));
      const pictures = [0, 1, 2].map(() => {
        fineTuner.step();
        return samplePicture(model, { prompt: `a ${word}`, steps: 1 });
      });
      assert.ok(worstDifference(pictures[0], pictures[1]).difference > 0);
      assert.ok(worstDifference(pictures[1], pictures[2]).difference > 0);
      fineTuner.dispose();
      assertSameBits(samplePicture(model, { prompt: `a ${word}`, steps: 1 }), pictures[2], 'after dispose');
    }));

  test('fine-tuning can continue with the same word or another word and the same updates', () =>
    scoped((own) => {
      const model = randomModel(own);
      fineTune(model, 2);
      const first = model.saveLora();
      fineTune(model, 2);
      assert.notDeepEqual(model.saveLora(), first);
      assert.equal(model.vocabulary.filter((known) => known === word).length, 1);
      fineTune(model, 2, { word: 'drop', like: word, captions: new Array(4).fill('a drop') });
      const names = [...parseSafetensors(model.saveLora()).tensors.keys()];
      assert.deepEqual(names.slice(-2), [`text.embedding.words.${word}`, 'text.embedding.words.drop']);
    }));

  test('the learning rate falls to 0 as `done` approaches 1', () =>
    scoped((own) => {
      const changes = [0, 0.4, 0.7, 1].map((done) => {
        const model = randomModel(own);
        const fineTuner = own(model.fineTuner(fineTunerOptions()));
        const before = parseSafetensors(saveFloat32(model)).tensors.get('text.embedding.weight').values;
        fineTuner.step(done);
        const after = parseSafetensors(saveFloat32(model)).tensors.get('text.embedding.weight').values;
        return worstDifference(after, before).difference;
      });
      // The first step of Adam has the length of the learning rate: 0.005 up to done = 0.4, half of it at
      // 0.7.
      [0.005, 0.005, 0.0025, 0].forEach((expected, index) =>
        assert.ok(Math.abs(changes[index] - expected) < 1e-5, `${changes}`),
      );
    }));

  test('step throws ArgumentError if `done` is invalid, and remains usable', () =>
    scoped((own) => {
      const model = randomModel(own);
      const fineTuner = own(model.fineTuner(fineTunerOptions()));
      const before = model.saveLora();
      for (const done of [-0.1, 1.1, NaN, Infinity, '0.5', null]) {
        assertThrows(() => fineTuner.step(done), ArgumentError, 'done', String(done));
      }
      assert.deepEqual(model.saveLora(), before);
      assert.equal(fineTuner.step(0.5).step, 1);
    }));

  test('draws one of the captions of a picture in each step', () =>
    scoped((own) => {
      const captions = [`a ${word}`, `a red ${word}, above a blue square`];
      const firstLoss = (seed, caption) => {
        const fineTuner = own(
          randomModel(own).fineTuner(
            fineTunerOptions({
              seed,
              pictures: blobPictures(1),
              captions: [caption],
              batch: 1,
              rehearsal: 0,
            }),
          ),
        );
        return fineTuner.step().loss;
      };
      const drawn = new Set();
      for (let seed = 0; seed < 12; ++seed) {
        const losses = captions.map((caption) => firstLoss(seed, caption));
        // The losses are equal if the step dropped the prompt.
        if (losses[0] === losses[1]) continue;
        const index = losses.indexOf(firstLoss(seed, captions));
        assert.notEqual(index, -1, `seed ${seed}: the loss is that of neither caption`);
        drawn.add(index);
      }
      assert.deepEqual([...drawn].sort(), [0, 1]);
    }));

  test('accepts one picture, captions, and the limits of rank, rehearsal and shift', () =>
    scoped((own) => {
      for (const options of [
        { pictures: blobPictures(1), captions: [`A ${word}, on a white background!`] },
        { rank: 1, batch: 1, rehearsal: 0.95 },
        { rank: 64, batch: 3, rehearsal: 0, shift: 0 },
        { shift: 31, learningRate: 0 },
      ]) {
        const model = randomModel(own);
        for (const loss of fineTune(model, 2, options)) assert.ok(loss > 0 && Number.isFinite(loss));
        const { shape } = parseSafetensors(model.saveLora()).tensors.values().next().value;
        assert.equal(shape[0], options.rank ?? 4);
      }
    }));
});

describe('invalid options of a fine-tuner', () => {
  const missing = Symbol('missing');
  const without = (options) =>
    Object.fromEntries(Object.entries(options).filter(([, value]) => value !== missing));

  /** [options, class, parts of the message] */
  const failures = [
    [{ word: 'Blob' }, ArgumentError, 'word', 'Blob'],
    [{ word: 'two words' }, ArgumentError, 'word', 'two words'],
    [{ word: '' }, ArgumentError, 'word'],
    [{ word: 5 }, ArgumentError, 'word', 'a string'],
    [{ word: missing }, ArgumentError, 'word', 'a string'],
    [{ like: 'zebra' }, ArgumentError, 'like', "'zebra'"],
    [{ like: null }, ArgumentError, 'like', 'a string'],
    [{ captions: new Array(4).fill('a red circle') }, ArgumentError, 'caption', word],
    [{ captions: [`a ${word}`] }, ArgumentError, 'captions', '1', '4'],
    [{ captions: new Array(4).fill(`a ${word} zebra`) }, ArgumentError, "'zebra'"],
    [{ captions: new Array(4).fill(5) }, ArgumentError, 'captions[0]', 'a string'],
    [{ captions: `a ${word}` }, ArgumentError, 'captions', 'an array'],
    [{ captions: new Array(4).fill([]) }, ArgumentError, 'captions[0]', 'one'],
    [{ captions: new Array(4).fill([`a ${word}`, 5]) }, ArgumentError, 'captions[0][1]', 'a string'],
    [{ captions: new Array(4).fill([`a ${word}`, 'a red circle']) }, ArgumentError, 'a red circle', word],
    [{ pictures: [] }, ShapeError, 'pictures', '1 to 64'],
    [{ pictures: new Array(65).fill(blobPictures(1)[0]) }, ShapeError, 'pictures', '64'],
    [{ pictures: [new Float32Array(12)] }, ShapeError, 'pictures[0]', '12', '3072'],
    [{ pictures: [new Float64Array(3072)] }, ArgumentError, 'pictures[0]', 'a Float32Array'],
    [{ pictures: [blobPictures(1)[0].with(7, NaN)] }, ArgumentError, 'pictures[0]', 'finite'],
    [{ pictures: blobPictures(1)[0] }, ArgumentError, 'pictures', 'an array'],
    [{ pictures: missing }, ArgumentError, 'pictures', 'an array'],
    ...[0, 65, 1.5, NaN, '4'].map((rank) => [{ rank }, ArgumentError, 'rank', '1 to 64']),
    ...[0, 257, 2.5].map((batch) => [{ batch }, ArgumentError, 'batch', '1 to 256']),
    ...[-1e-3, 1.5].map((learningRate) => [{ learningRate }, ArgumentError, 'learningRate', '0 to 1']),
    ...[NaN, '1'].map((learningRate) => [{ learningRate }, ArgumentError, 'learningRate', 'finite']),
    ...[-0.1, 0.96].map((rehearsal) => [{ rehearsal }, ArgumentError, 'rehearsal', '0 to 0.95']),
    ...[-1, 32, 0.5].map((shift) => [{ shift }, ArgumentError, 'shift', '0 to 31']),
    ...[-1, 0.5, 2 ** 53, '1'].map((seed) => [{ seed }, ArgumentError, 'seed', 'an integer']),
  ];

  test('throw an error that names the option, and change nothing', () =>
    scoped((own) => {
      const model = randomModel(own);
      const picture = samplePicture(model, { prompt });
      const file = saveFloat32(model);
      for (const [options, errorClass, ...parts] of failures) {
        assertThrows(() => model.fineTuner(without(fineTunerOptions(options))), errorClass, ...parts);
        assert.ok(!model.vocabulary.includes(word));
      }
      for (const wrong of [undefined, null, 'blob']) {
        assertThrows(() => model.fineTuner(wrong), ArgumentError, 'options', 'an object');
      }
      assertThrows(() => model.saveLora(), ArgumentError, 'LoRA');
      assert.deepEqual(saveFloat32(model), file);
      assertSameBits(samplePicture(model, { prompt }), picture, 'the picture');
    }));

  test('do not change an earlier word and its updates', () =>
    scoped((own) => {
      const model = randomModel(own);
      fineTune(model, 2);
      const state = () => [
        model.saveLora(),
        saveFloat32(model),
        samplePicture(model, { prompt: `a ${word}` }),
      ];
      const before = state();
      for (const [options] of failures) {
        // `like` is ignored for a known word, which starts with its own embedding.
        if ('like' in options && options.like !== null) continue;
        assert.throws(() => model.fineTuner(without(fineTunerOptions(options))));
      }
      assert.deepEqual(state(), before);
    }));

  test('a second fine-tuner before the first is disposed', () =>
    scoped((own) => {
      const model = randomModel(own);
      const fineTuner = own(model.fineTuner(fineTunerOptions()));
      assertThrows(
        () => model.fineTuner(fineTunerOptions({ word: 'drop' })),
        ArgumentError,
        'FineTuner',
        'dispose',
      );
      assert.ok(!model.vocabulary.includes('drop'));
      fineTuner.step();
      fineTuner.dispose();
      own(model.fineTuner(fineTunerOptions({ word: 'drop' }))).step();
    }));
});

test('an existing sampler cannot advance after a step', () =>
  scoped((own) => {
    const model = randomModel(own);
    const fineTuner = own(model.fineTuner(fineTunerOptions()));
    const sampler = own(model.sampler({ prompt, steps: 4 }));
    sampler.advance();
    const picture = sampler.picture();
    fineTuner.step();
    assertThrows(() => sampler.advance(), ArgumentError, 'denoiser');
    assert.equal(sampler.step, 1);
    assertSameBits(sampler.picture(), picture, 'the picture');
  }));
