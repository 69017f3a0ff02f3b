// Edits: the picture of another prompt is kept where nothing differs.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, worstDifference } from '../support/compare.mjs';
import { ArgumentError, Denoiser, expectNoMemory, paint } from '../support/denoiser.mjs';
import { randomModel, sampled, shippedFile } from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';

expectNoMemory();

const from = 'a red circle above a star';
const prompt = 'a blue circle above a star';

/** Attention given is log P in a softmax whose scores are zero: of P from 2^-24 on, log P is off by 2^-20 at most, and so
 * is P relative to itself. Over two blocks, guidance 3, which takes three times one estimate less two times another, and
 * four steps that stays below 100·2^-20. */
const throughLogarithms = 1e-4;

const difference = (one, other) => worstDifference(one, other).difference;

describe('an edit', () => {
  test('of a prompt into itself gives its picture', () =>
    scoped((own) => {
      const model = randomModel(own);
      const edit = { from, crossSteps: 1, selfSteps: 1, keepElsewhere: false };
      assertClose(
        paint(model, { prompt: from, edit }),
        paint(model, { prompt: from }),
        throughLogarithms,
        from,
      );
    }));

  test('that keeps nothing gives the new prompt its own picture', () =>
    scoped((own) => {
      const model = randomModel(own);
      const edit = { from, crossSteps: 0, selfSteps: 0, keepElsewhere: false };
      const own1 = paint(model, { prompt });
      // In a batch with the other prompt sums may have another order.
      assertClose(paint(model, { prompt, edit }), own1, 1e-5, 'the picture');
      assert.ok(difference(own1, paint(model, { prompt: from })) > 0.01, 'the prompts differ');
    }));

  test('keeps more of the picture the longer it keeps its attention', () =>
    scoped((own) => {
      const model = randomModel(own);
      const original = paint(model, { prompt: from });
      const distance = (crossSteps, selfSteps) => {
        const edit = { from, crossSteps, selfSteps, keepElsewhere: false };
        const picture = paint(model, { prompt, edit });
        return picture.reduce((sum, value, index) => sum + Math.abs(value - original[index]), 0);
      };
      const free = distance(0, 0);
      // What the word says comes by its values still: not the same picture, but a nearer one.
      for (const [crossSteps, selfSteps] of [
        [1, 0],
        [1, 1],
      ]) {
        const kept = distance(crossSteps, selfSteps);
        assert.ok(kept > 0 && kept < free, `${crossSteps}, ${selfSteps}: ${kept} of ${free}`);
      }
    }));

  test('works between prompts of different lengths, and the empty one', () =>
    scoped((own) => {
      const model = randomModel(own);
      const prompts = ['a circle', from, 'a small red circle above a large star on a white background', ''];
      for (const one of prompts) {
        for (const other of prompts.filter((each) => each !== one)) {
          const sampler = sampled(own, model, { prompt: other, steps: 2, edit: { from: one } });
          const picture = sampler.picture();
          assert.ok(
            picture.every((value) => Math.abs(value) <= 1),
            `${one} → ${other}`,
          );
          assert.deepEqual(sampler.words, other.split(' ').filter(Boolean));
          assert.equal(sampler.maps().length, sampler.words.length * model.mapSize ** 2);
          const again = paint(model, { prompt: other, steps: 2, edit: { from: one } });
          assertSameBits(again, picture, `${one} → ${other}, again`);
        }
      }
    }));

  test('of a prompt that gets a word keeps what the other words attend to', () =>
    scoped((own) => {
      const model = randomModel(own);
      const edit = { from, crossSteps: 1, selfSteps: 1, keepElsewhere: false };
      const longer = 'a red circle above a large star';
      const original = paint(model, { prompt: from });
      const edited = difference(paint(model, { prompt: longer, edit }), original);
      assert.ok(edited > 1e-3, 'the word does something');
      assert.ok(edited < difference(paint(model, { prompt: longer }), original), `${edited}`);
    }));
});

describe('a weight that differs, and no word', () => {
  const words = from.split(' ');
  const weights = (weight) => words.map((word) => (word === 'circle' ? weight : 1));

  test('changes the picture, more the more it differs', () =>
    scoped((own) => {
      const model = randomModel(own);
      const original = paint(model, { prompt: from });
      const changeOf = (wordWeights) => {
        const edit = { from, crossSteps: 1, selfSteps: 1, keepElsewhere: false };
        return difference(paint(model, { prompt: from, wordWeights, edit }), original);
      };
      const [none, little, much] = [1, 1.5, 20].map((weight) => changeOf(weights(weight)));
      assert.ok(none <= throughLogarithms && little > 10 * none && much > little, `${[none, little, much]}`);
    }));

  test('the same in both prompts gives the picture of such a prompt', () =>
    scoped((own) => {
      const model = randomModel(own);
      for (const weight of [0, 3]) {
        const wordWeights = weights(weight);
        const expected = paint(model, { prompt: from, wordWeights });
        const edit = { from, wordWeights, crossSteps: 0, selfSteps: 0, keepElsewhere: false };
        assertClose(paint(model, { prompt: from, wordWeights, edit }), expected, 1e-5, `weight ${weight}`);
      }
    }));
});

describe('keepElsewhere', () => {
  // A random model looks at every word everywhere; one that has learned looks at the word's object.
  const trainedModel = (own) => own(Denoiser.load(shippedFile()));

  /** Where the words that differ are looked at, over the most of it: there or next to it, in [tokens]. */
  function changedPlaces(model, samplers, place) {
    const size = model.mapSize;
    const tokens = size ** 2;
    const shares = samplers.map((sampler) => {
      const map = sampler.maps().subarray(place * tokens, (place + 1) * tokens);
      const most = Math.max(...map);
      return map.map((value) => value / most);
    });
    const most = shares[0].map((value, token) => Math.max(value, shares[1][token]));
    const isNear = (one, other) =>
      Math.abs((one % size) - (other % size)) <= 1 &&
      Math.abs(Math.floor(one / size) - Math.floor(other / size)) <= 1;
    return most.map((_, token) => Math.max(...most.filter((_, other) => isNear(token, other))));
  }

  test('keeps the bits of the pixels that nobody looks at for what changed', () =>
    scoped((own) => {
      const model = trainedModel(own);
      const steps = 6;
      const original = sampled(own, model, { prompt: from, steps });
      const edited = sampled(own, model, { prompt, steps, edit: { from } });
      const changed = changedPlaces(model, [original, edited], 1);
      const size = model.imageSize;
      const patch = size / model.mapSize;
      const [before, after] = [original.picture(), edited.picture()];
      let kept = 0;
      let different = 0;
      before.forEach((value, index) => {
        const y = Math.floor(index / size) % size;
        const x = index % size;
        const share = changed[Math.floor(y / patch) * model.mapSize + Math.floor(x / patch)];
        // 0.3 of the most is the limit; within 10^-4 of it rounding may decide.
        if (share < 0.2999) {
          assert.ok(
            Object.is(after[index], value),
            `pixel ${x}, ${y}: ${after[index]} for ${value}, ${share}`,
          );
          ++kept;
        } else if (share > 0.3001 && after[index] !== value) {
          ++different;
        }
      });
      assert.ok(kept >= 300 && different >= 300, `${kept} kept, ${different} changed`);
    }));

  test('false changes more', () =>
    scoped((own) => {
      const model = trainedModel(own);
      const original = paint(model, { prompt: from, steps: 6 });
      const changedPixels = (keepElsewhere) =>
        paint(model, { prompt, steps: 6, edit: { from, keepElsewhere } }).filter(
          (value, index) => value !== original[index],
        ).length;
      const [kept, free] = [changedPixels(true), changedPixels(false)];
      assert.ok(kept < free, `${kept} and ${free}`);
    }));

  test('of nothing that differs keeps all of it', () =>
    scoped((own) => {
      const model = randomModel(own);
      const picture = paint(model, { prompt: from, edit: { from } });
      assertSameBits(picture, paint(model, { prompt: from }), 'the picture');
    }));
});

test('edits that cannot be are an ArgumentError that names the option', () =>
  scoped((own) => {
    const model = randomModel(own);
    const refuse = (edit, ...parts) =>
      assertThrows(() => model.sampler({ prompt, edit }), ArgumentError, ...parts);
    for (const wrong of [-0.1, 1.1, NaN, Infinity, '1', null]) {
      refuse({ from, crossSteps: wrong }, 'edit.crossSteps', 'it takes');
      refuse({ from, selfSteps: wrong }, 'edit.selfSteps', 'it takes');
    }
    for (const wrong of [1, 'yes', null])
      refuse({ from, keepElsewhere: wrong }, 'edit.keepElsewhere', 'true or false');
    for (const wrong of [undefined, null, 5, ['a']]) refuse({ from: wrong }, 'edit.from', 'a string');
    refuse({}, 'edit.from', 'a string');
    refuse({ from: 'a zebra above a unicorn' }, "'zebra', 'unicorn'");
    refuse({ from: 'a '.repeat(24) }, '24 words', '23');
    for (const wrong of [5, 'from', true]) refuse(wrong, 'edit', 'an object');
  }));
