// Tests of edits (option edit of sampler): the picture of another prompt stays unchanged except for the
// differing words.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, worstDifference } from '../support/compare.mjs';
import { ArgumentError, Denoiser, expectNoMemoryAfterEach, samplePicture } from '../support/denoiser.mjs';
import { randomModel, finishedSampler, shippedFile } from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';

expectNoMemoryAfterEach();

const from = 'a red circle above a star';
const prompt = 'a blue circle above a star';

/**
 * Injected attention P is passed as log P to a softmax whose scores are zero. For P of at least 2^-24 the
 * error of log P is at most 2^-20, and so is the relative error of P. After two blocks, guidance 3 (three
 * times one estimate minus two times the other) and four steps the error stays below 100·2^-20.
 */
const logarithmTolerance = 1e-4;

const difference = (a, b) => worstDifference(a, b).difference;

describe('an edit', () => {
  test('from a prompt to itself gives the picture of the prompt', () =>
    scoped((own) => {
      const model = randomModel(own);
      const edit = { from, crossSteps: 1, selfSteps: 1, keepElsewhere: false };
      assertClose(
        samplePicture(model, { prompt: from, edit }),
        samplePicture(model, { prompt: from }),
        logarithmTolerance,
        from,
      );
    }));

  test('that injects no attention gives the picture of the new prompt', () =>
    scoped((own) => {
      const model = randomModel(own);
      const edit = { from, crossSteps: 0, selfSteps: 0, keepElsewhere: false };
      const expected = samplePicture(model, { prompt });
      // The order of sums may differ in a batch with the other prompt.
      assertClose(samplePicture(model, { prompt, edit }), expected, 1e-5, 'the picture');
      assert.ok(difference(expected, samplePicture(model, { prompt: from })) > 0.01, 'the prompts differ');
    }));

  test('changes the picture less if it injects attention in more steps', () =>
    scoped((own) => {
      const model = randomModel(own);
      const original = samplePicture(model, { prompt: from });
      const distance = (crossSteps, selfSteps) => {
        const edit = { from, crossSteps, selfSteps, keepElsewhere: false };
        const picture = samplePicture(model, { prompt, edit });
        return picture.reduce((sum, value, index) => sum + Math.abs(value - original[index]), 0);
      };
      const free = distance(0, 0);
      // The values still depend on the changed word: the picture is closer to the original, but not equal.
      for (const [crossSteps, selfSteps] of [
        [1, 0],
        [1, 1],
      ]) {
        const injected = distance(crossSteps, selfSteps);
        assert.ok(injected > 0 && injected < free, `${crossSteps}, ${selfSteps}: ${injected} of ${free}`);
      }
    }));

  test('works between prompts of different lengths, including the empty prompt', () =>
    scoped((own) => {
      const model = randomModel(own);
      const prompts = ['a circle', from, 'a small red circle above a large star on a white background', ''];
      for (const source of prompts) {
        for (const target of prompts.filter((text) => text !== source)) {
          const sampler = finishedSampler(own, model, { prompt: target, steps: 2, edit: { from: source } });
          const picture = sampler.picture();
          assert.ok(
            picture.every((value) => Math.abs(value) <= 1),
            `${source} → ${target}`,
          );
          assert.deepEqual(sampler.words, target.split(' ').filter(Boolean));
          assert.equal(sampler.maps().length, sampler.words.length * model.mapSize ** 2);
          const again = samplePicture(model, { prompt: target, steps: 2, edit: { from: source } });
          assertSameBits(again, picture, `${source} → ${target}, again`);
        }
      }
    }));

  test('that adds a word preserves the attention of the other words', () =>
    scoped((own) => {
      const model = randomModel(own);
      const edit = { from, crossSteps: 1, selfSteps: 1, keepElsewhere: false };
      const longer = 'a red circle above a large star';
      const original = samplePicture(model, { prompt: from });
      const edited = difference(samplePicture(model, { prompt: longer, edit }), original);
      assert.ok(edited > 1e-3, 'the word has an effect');
      assert.ok(edited < difference(samplePicture(model, { prompt: longer }), original), `${edited}`);
    }));
});

describe('an edit that changes only a word weight', () => {
  const words = from.split(' ');
  const weights = (weight) => words.map((word) => (word === 'circle' ? weight : 1));

  test('changes the picture more for a larger difference', () =>
    scoped((own) => {
      const model = randomModel(own);
      const original = samplePicture(model, { prompt: from });
      const changeOf = (wordWeights) => {
        const edit = { from, crossSteps: 1, selfSteps: 1, keepElsewhere: false };
        return difference(samplePicture(model, { prompt: from, wordWeights, edit }), original);
      };
      const [none, little, much] = [1, 1.5, 20].map((weight) => changeOf(weights(weight)));
      assert.ok(none <= logarithmTolerance && little > 10 * none && much > little, `${[none, little, much]}`);
    }));

  test('equal weights in both prompts give the picture of the weighted prompt', () =>
    scoped((own) => {
      const model = randomModel(own);
      for (const weight of [0, 3]) {
        const wordWeights = weights(weight);
        const expected = samplePicture(model, { prompt: from, wordWeights });
        const edit = { from, wordWeights, crossSteps: 0, selfSteps: 0, keepElsewhere: false };
        assertClose(
          samplePicture(model, { prompt: from, wordWeights, edit }),
          expected,
          1e-5,
          `weight ${weight}`,
        );
      }
    }));
});

describe('keepElsewhere', () => {
  // A random model attends to each word everywhere; a trained one attends to it at the object of the word.
  const trainedModel = (own) => own(Denoiser.load(shippedFile()));

  /**
   * Returns per token the attention to the word `wordIndex`, relative to the maximum of its map: the maximum
   * over both samplers, the token and its neighbours.
   */
  function attentionNearby(model, samplers, wordIndex) {
    const size = model.mapSize;
    const tokens = size ** 2;
    const normalized = samplers.map((sampler) => {
      const map = sampler.maps().subarray(wordIndex * tokens, (wordIndex + 1) * tokens);
      const max = Math.max(...map);
      return map.map((value) => value / max);
    });
    const ofBoth = normalized[0].map((value, token) => Math.max(value, normalized[1][token]));
    const isNear = (a, b) =>
      Math.abs((a % size) - (b % size)) <= 1 && Math.abs(Math.floor(a / size) - Math.floor(b / size)) <= 1;
    return ofBoth.map((_, token) => Math.max(...ofBoth.filter((_, other) => isNear(token, other))));
  }

  test('preserves the bits of pixels that do not attend to the changed word', () =>
    scoped((own) => {
      const model = trainedModel(own);
      const steps = 6;
      const original = finishedSampler(own, model, { prompt: from, steps });
      const edited = finishedSampler(own, model, { prompt, steps, edit: { from } });
      const attention = attentionNearby(model, [original, edited], 1);
      const size = model.imageSize;
      const patch = size / model.mapSize;
      const [before, after] = [original.picture(), edited.picture()];
      let unchanged = 0;
      let changed = 0;
      before.forEach((value, index) => {
        const y = Math.floor(index / size) % size;
        const x = index % size;
        const share = attention[Math.floor(y / patch) * model.mapSize + Math.floor(x / patch)];
        // The limit is 0.3 of the maximum; within 10^-4 of it rounding may decide.
        if (share < 0.2999) {
          assert.ok(
            Object.is(after[index], value),
            `pixel ${x}, ${y} is ${after[index]}; expected ${value} at attention ${share}`,
          );
          ++unchanged;
        } else if (share > 0.3001 && after[index] !== value) {
          ++changed;
        }
      });
      assert.ok(unchanged >= 300 && changed >= 300, `${unchanged} unchanged, ${changed} changed`);
    }));

  test('changes fewer pixels than keepElsewhere: false', () =>
    scoped((own) => {
      const model = trainedModel(own);
      const original = samplePicture(model, { prompt: from, steps: 6 });
      const changedPixels = (keepElsewhere) =>
        samplePicture(model, { prompt, steps: 6, edit: { from, keepElsewhere } }).filter(
          (value, index) => value !== original[index],
        ).length;
      const [withKeep, withoutKeep] = [changedPixels(true), changedPixels(false)];
      assert.ok(withKeep < withoutKeep, `${withKeep} and ${withoutKeep}`);
    }));

  test('preserves the whole picture if the prompts are equal', () =>
    scoped((own) => {
      const model = randomModel(own);
      const picture = samplePicture(model, { prompt: from, edit: { from } });
      assertSameBits(picture, samplePicture(model, { prompt: from }), 'the picture');
    }));
});

test('invalid edits throw ArgumentError and name the option', () =>
  scoped((own) => {
    const model = randomModel(own);
    const assertInvalid = (edit, ...parts) =>
      assertThrows(() => model.sampler({ prompt, edit }), ArgumentError, ...parts);
    for (const wrong of [-0.1, 1.1, NaN, Infinity, '1', null]) {
      assertInvalid({ from, crossSteps: wrong }, 'edit.crossSteps', String(wrong));
      assertInvalid({ from, selfSteps: wrong }, 'edit.selfSteps', String(wrong));
    }
    for (const wrong of [1, 'yes', null])
      assertInvalid({ from, keepElsewhere: wrong }, 'edit.keepElsewhere', 'true or false');
    for (const wrong of [undefined, null, 5, ['a']]) assertInvalid({ from: wrong }, 'edit.from', 'a string');
    assertInvalid({}, 'edit.from', 'a string');
    assertInvalid({ from: 'a zebra above a unicorn' }, "'zebra', 'unicorn'");
    assertInvalid({ from: 'a '.repeat(24) }, '24 words', '23');
    for (const wrong of [5, 'from', true]) assertInvalid(wrong, 'edit', 'an object');
  }));
