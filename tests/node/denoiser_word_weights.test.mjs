// Weights of words: they multiply a word's attention before all of it is made to sum up to 1.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits, assertWithin, worstDifference } from '../support/compare.mjs';
import { ArgumentError, expectNoMemory, paint, randomModel, sampled } from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';

expectNoMemory();

const prompt = 'a red circle above a star';
const words = prompt.split(' ');
const at = words.indexOf('circle');
const weighted = (weight) => words.map((_, index) => (index === at ? weight : 1));

const mapOf = (sampler, word, options) => {
  const maps = sampler.maps(options);
  const tokens = maps.length / words.length;
  return maps.subarray(word * tokens, (word + 1) * tokens);
};

describe('wordWeights', () => {
  test('of 1 are none: the same bits', () =>
    scoped((own) => {
      const model = randomModel(own);
      const plain = sampled(own, model, { prompt });
      for (const wordWeights of [weighted(1), Float32Array.from(weighted(1)), []]) {
        const same = sampled(own, model, { prompt, wordWeights });
        assertSameBits(same.picture(), plain.picture(), 'picture');
        assertSameBits(same.maps(), plain.maps(), 'maps');
      }
    }));

  test('0: nothing attends to the word, and the others have what it had', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = sampled(own, model, { prompt, wordWeights: weighted(0) });
      words.forEach((word, index) => {
        const most = Math.max(...mapOf(sampler, index));
        if (index === at) assert.equal(most, 0, word);
        else assert.ok(most > 0, word);
      });
      assert.ok(
        worstDifference(sampler.picture(), paint(model, { prompt })).difference > 1e-3,
        'the picture is another one',
      );
    }));

  test('0 for all words leaves the start token: the picture is one of words unsaid, and no NaN', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = sampled(own, model, { prompt, wordWeights: words.map(() => 0) });
      assert.ok(sampler.maps().every((value) => value === 0));
      assert.ok(sampler.picture().every(Number.isFinite));
    }));

  for (const weight of [0.25, 3, 1000]) {
    test(`${weight}: a probability p becomes ${weight}·p / (1 + ${weight - 1}·p)`, () =>
      scoped((own) => {
        const model = randomModel(own);
        // Of the first block in the first step, before what changes there can reach what is attended to.
        const sampler = (wordWeights) => sampled(own, model, { prompt, steps: 1, wordWeights });
        const [plain, changed] = [sampler(), sampler(weighted(weight))];
        for (let head = 0; head < model.heads; ++head) {
          const before = mapOf(plain, at, { block: 0, head });
          const expected = Float64Array.from(before, (p) => (weight * p) / (1 + (weight - 1) * p));
          // The logarithm of the weight (up to 7), the score with it and its distance from the largest one are rounded to
          // float, each of at most 7 + |ln p|; exponentials and sums are good to some 2^-22: 2^-19 of the value at most.
          const tolerances = expected.map((p) => (2 ** -19 + 3 * 2 ** -24 * (7 - Math.log(p))) * p);
          assertWithin(mapOf(changed, at, { block: 0, head }), expected, tolerances, `head ${head}`);
        }
      }));
  }

  test('3: the share of the word over all steps grows by more than a tenth', () =>
    scoped((own) => {
      const model = randomModel(own);
      const shareOf = (wordWeights) => {
        const map = mapOf(sampled(own, model, { prompt, wordWeights }), at);
        return map.reduce((sum, value) => sum + value, 0) / map.length;
      };
      const [once, thrice] = [shareOf(weighted(1)), shareOf(weighted(3))];
      // What is attended to fully cannot be attended to more, and the picture is another one: less than 3/(1 + 2·share) times.
      assert.ok(thrice > 1.1 * once, `${once} became ${thrice}`);
    }));
});

describe('wordWeights are refused', () => {
  const places = {
    wordWeights: (wordWeights) => ({ wordWeights }),
    'edit.wordWeights': (wordWeights) => ({ edit: { from: prompt, wordWeights } }),
  };
  for (const [name, optionsOf] of Object.entries(places)) {
    test(`${name}: other numbers of them, negative, too large, not finite, no numbers`, () =>
      scoped((own) => {
        const model = randomModel(own);
        const refuse = (wordWeights, ...parts) =>
          assertThrows(
            () => model.sampler({ prompt, ...optionsOf(wordWeights) }),
            ArgumentError,
            name,
            ...parts,
          );
        refuse([1], '1 weights', `takes ${words.length}`);
        refuse([...weighted(1), 1], `${words.length + 1} weights`, `takes ${words.length}`);
        for (const wrong of [-1, -1e-9, 1000.5, NaN, Infinity, -Infinity]) {
          refuse(weighted(wrong), '0 to 1000');
        }
        refuse(weighted('2'), `${name}[${at}]`, 'a number');
        refuse(weighted(null), `${name}[${at}]`, 'a number');
        for (const wrong of [3, 'all', true, null, {}]) refuse(wrong, 'an array of numbers');
      }));
  }
});
