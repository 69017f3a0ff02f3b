// Tests of word weights: a weight multiplies the attention to a word before normalization.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits, assertWithin, worstDifference } from '../support/compare.mjs';
import {
  ArgumentError,
  expectNoMemoryAfterEach,
  samplePicture,
  randomModel,
  finishedSampler,
} from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';

expectNoMemoryAfterEach();

const prompt = 'a red circle above a star';
const words = prompt.split(' ');
const circleIndex = words.indexOf('circle');
const weighted = (weight) => words.map((_, index) => (index === circleIndex ? weight : 1));

const mapOf = (sampler, word, options) => {
  const maps = sampler.maps(options);
  const tokens = maps.length / words.length;
  return maps.subarray(word * tokens, (word + 1) * tokens);
};

describe('wordWeights', () => {
  test('of 1 have no effect: the same bits', () =>
    scoped((own) => {
      const model = randomModel(own);
      const plain = finishedSampler(own, model, { prompt });
      for (const wordWeights of [weighted(1), Float32Array.from(weighted(1)), []]) {
        const same = finishedSampler(own, model, { prompt, wordWeights });
        assertSameBits(same.picture(), plain.picture(), 'picture');
        assertSameBits(same.maps(), plain.maps(), 'maps');
      }
    }));

  test('0: the attention to the word is 0', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = finishedSampler(own, model, { prompt, wordWeights: weighted(0) });
      words.forEach((word, index) => {
        const max = Math.max(...mapOf(sampler, index));
        if (index === circleIndex) assert.equal(max, 0, word);
        else assert.ok(max > 0, word);
      });
      assert.ok(
        worstDifference(sampler.picture(), samplePicture(model, { prompt })).difference > 1e-3,
        'the picture changes',
      );
    }));

  test('0 for all words: only the start token has attention; no NaN', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = finishedSampler(own, model, { prompt, wordWeights: words.map(() => 0) });
      assert.ok(sampler.maps().every((value) => value === 0));
      assert.ok(sampler.picture().every(Number.isFinite));
    }));

  for (const weight of [0.25, 3, 1000]) {
    test(`${weight}: a probability p becomes ${weight}·p / (1 + ${weight - 1}·p)`, () =>
      scoped((own) => {
        const model = randomModel(own);
        // The first block in the first step: the change does not affect its scores yet.
        const sampler = (wordWeights) => finishedSampler(own, model, { prompt, steps: 1, wordWeights });
        const [plain, changed] = [sampler(), sampler(weighted(weight))];
        for (let head = 0; head < model.heads; ++head) {
          const before = mapOf(plain, circleIndex, { block: 0, head });
          const expected = Float64Array.from(before, (p) => (weight * p) / (1 + (weight - 1) * p));
          // The logarithm of the weight (up to 7), its sum with the score and the distance from the maximum
          // are rounded to float32, each at most 7 + |ln p|. Exponentials and sums have errors of about
          // 2^-22: at most 2^-19 of the value in total.
          const tolerances = expected.map((p) => (2 ** -19 + 3 * 2 ** -24 * (7 - Math.log(p))) * p);
          assertWithin(mapOf(changed, circleIndex, { block: 0, head }), expected, tolerances, `head ${head}`);
        }
      }));
  }

  test('3: the mean attention to the word over all steps grows by more than a tenth', () =>
    scoped((own) => {
      const model = randomModel(own);
      const shareOf = (wordWeights) => {
        const map = mapOf(finishedSampler(own, model, { prompt, wordWeights }), circleIndex);
        return map.reduce((sum, value) => sum + value, 0) / map.length;
      };
      const [plain, tripled] = [shareOf(weighted(1)), shareOf(weighted(3))];
      // Attention saturates at 1 and the picture changes, so the factor is below 3/(1 + 2·share).
      assert.ok(tripled > 1.1 * plain, `weight 1: ${plain}, weight 3: ${tripled}`);
    }));
});

describe('invalid wordWeights throw ArgumentError', () => {
  const optionsByName = {
    wordWeights: (wordWeights) => ({ wordWeights }),
    'edit.wordWeights': (wordWeights) => ({ edit: { from: prompt, wordWeights } }),
  };
  for (const [name, optionsOf] of Object.entries(optionsByName)) {
    test(`${name}: wrong length, negative, too large, not finite, not numbers`, () =>
      scoped((own) => {
        const model = randomModel(own);
        const assertInvalid = (wordWeights, ...parts) =>
          assertThrows(
            () => model.sampler({ prompt, ...optionsOf(wordWeights) }),
            ArgumentError,
            name,
            ...parts,
          );
        assertInvalid([1], '1 ', `${words.length}`);
        assertInvalid([...weighted(1), 1], `${words.length + 1} `, `${words.length}`);
        for (const wrong of [-1, -1e-9, 1000.5, NaN, Infinity, -Infinity]) {
          assertInvalid(weighted(wrong), '0 to 1000');
        }
        assertInvalid(weighted('2'), `${name}[${circleIndex}]`, 'a number');
        assertInvalid(weighted(null), `${name}[${circleIndex}]`, 'a number');
        for (const wrong of [3, 'all', true, null, {}]) assertInvalid(wrong, 'an array of numbers');
      }));
  }
});
