// Tests of attention maps of a sampler: values, selection of blocks and heads, and averages over steps.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits } from '../support/compare.mjs';
import { ArgumentError, Denoiser, expectNoMemoryAfterEach, samplePicture } from '../support/denoiser.mjs';
import { randomModel, finishedSampler, shippedFile } from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';

expectNoMemoryAfterEach();

const prompt = 'a red circle left of a blue square';
const words = prompt.split(' ').length;

/** Sums the maps of all words per token. */
function sumsOverWords(maps, tokens) {
  return Float64Array.from({ length: tokens }, (_, token) => {
    let sum = 0;
    for (let begin = 0; begin < maps.length; begin += tokens) sum += maps[begin + token];
    return sum;
  });
}

describe('maps', () => {
  test('are probabilities: not negative, and at most 1 in sum over the words', () =>
    scoped((own) => {
      const model = randomModel(own);
      const tokens = model.mapSize ** 2;
      const sampler = own(model.sampler({ prompt, steps: 3 }));
      for (const { step } of sampler) {
        const maps = sampler.maps();
        assert.ok(maps instanceof Float32Array);
        assert.equal(maps.length, words * tokens);
        assert.ok(
          maps.every((value) => value >= 0),
          `step ${step}`,
        );
        const sums = sumsOverWords(maps, tokens);
        // The start token has the remaining probability, which is below 1. Means of 24 float32 probabilities,
        // each with an error of at most 2^-24.
        assert.ok(Math.max(...sums) <= 1 + 24 * 2 ** -24, `step ${step}: ${Math.max(...sums)}`);
        assert.ok(Math.min(...sums) > 0.01, `step ${step}: ${Math.min(...sums)}`);
      }
    }));

  test('default to the mean over all blocks and heads', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = finishedSampler(own, model, { prompt });
      const meanOf = (lists) =>
        lists[0].map((_, i) => lists.reduce((sum, m) => sum + m[i], 0) / lists.length);
      const blocks = [...new Array(model.blocks).keys()];
      const heads = [...new Array(model.heads).keys()];
      const maps = blocks.map((block) => heads.map((head) => sampler.maps({ block, head })));
      assert.equal(new Set(maps.flat().map(String)).size, model.blocks * model.heads, 'all maps differ');
      // Float32 sums in another order: 8 roundings of numbers up to 1.
      const tolerance = 8 * 2 ** -24;
      assertClose(sampler.maps(), meanOf(maps.flat()), tolerance, 'all');
      for (const block of blocks) {
        assertClose(sampler.maps({ block }), meanOf(maps[block]), tolerance, `block ${block}`);
      }
      for (const head of heads) {
        const ofHead = maps.map((list) => list[head]);
        assertClose(sampler.maps({ head }), meanOf(ofHead), tolerance, `head ${head}`);
      }
      assertSameBits(sampler.maps({}), sampler.maps(), 'no options');
    }));

  test('are averages over steps: each step adds probabilities', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = own(model.sampler({ prompt, steps: 4 }));
      let sum = new Float32Array(words * model.mapSize ** 2);
      for (const { step } of sampler) {
        const total = sampler.maps().map((value) => value * step);
        const added = total.map((value, index) => value - sum[index]);
        // The float32 sums are up to 4: a few roundings of 2^-22.
        assert.ok(
          added.every((value) => value >= -2e-6 && value <= 1 + 2e-6),
          `step ${step}`,
        );
        assert.ok(Math.max(...sumsOverWords(added, model.mapSize ** 2)) <= 1 + 1e-5);
        sum = total;
      }
    }));

  test('are zeros before the first step', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = own(model.sampler({ prompt }));
      assert.deepEqual(sampler.maps(), new Float32Array(words * model.mapSize ** 2));
      assert.deepEqual(sampler.maps({ block: 1, head: 3 }), new Float32Array(words * model.mapSize ** 2));
    }));

  test('are empty for a prompt without words', () =>
    scoped((own) => {
      const model = randomModel(own);
      assert.equal(finishedSampler(own, model, { prompt: '' }).maps().length, 0);
    }));

  test('false disables maps; the picture has the same bits', () =>
    scoped((own) => {
      const model = randomModel(own);
      const edit = { from: 'a red star left of a blue square' };
      for (const options of [{}, { guidance: 1 }, { edit }]) {
        const sampler = finishedSampler(own, model, { prompt, maps: false, ...options });
        assertThrows(() => sampler.maps(), ArgumentError, 'maps', 'false');
        assertSameBits(
          sampler.picture(),
          samplePicture(model, { prompt, ...options }),
          JSON.stringify(options),
        );
      }
    }));

  test('throw ArgumentError if a block or head does not exist', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = finishedSampler(own, model, { prompt, steps: 1 });
      for (const wrong of [-1, 0.5, NaN, 'mean', null, 4]) {
        assertThrows(() => sampler.maps({ head: wrong }), ArgumentError, 'head', '0 to 3');
        assertThrows(() => sampler.maps({ block: wrong }), ArgumentError, 'block', '0 to 1');
      }
      assertThrows(() => sampler.maps({ block: 2 }), ArgumentError, 'block is 2', '0 to 1');
      assertThrows(() => sampler.maps(1), ArgumentError, 'options', 'an object');
    }));
});

/** Pearson correlation coefficient. */
function correlation(a, b) {
  const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const centred = [a, b].map((values) => values.map((value) => value - meanOf(values)));
  const product = ([left, right]) => left.reduce((sum, value, index) => sum + value * right[index], 0);
  return product(centred) / Math.sqrt(product([centred[0], centred[0]]) * product([centred[1], centred[1]]));
}

test("the site's model attends to a colour word where it paints the colour", () =>
  scoped((own) => {
    const model = own(Denoiser.load(shippedFile()));
    for (const [text, sign] of [
      ['a large red circle on a black background', 1],
      ['a large blue square on a white background', -1],
    ]) {
      const sampler = finishedSampler(own, model, { prompt: text, steps: 4, seed: 1 });
      const across = model.mapSize;
      const patch = model.imageSize / across;
      const picture = sampler.picture();
      const pixels = picture.length / 3;
      /** Red minus blue (or blue minus red), averaged over the pixels of each token. */
      const colour = new Float64Array(across ** 2);
      for (let pixel = 0; pixel < pixels; ++pixel) {
        const [x, y] = [pixel % model.imageSize, Math.floor(pixel / model.imageSize)];
        colour[Math.floor(y / patch) * across + Math.floor(x / patch)] +=
          (sign * (picture[pixel] - picture[2 * pixels + pixel])) / patch ** 2;
      }
      const painted = colour.filter((value) => value > 0.5).length;
      assert.ok(painted > 4 && painted < 40, `${text}: ${painted} of 64 tokens have the colour`);
      const map = sampler.maps().subarray(2 * across ** 2, 3 * across ** 2);
      // Unrelated maps of 64 tokens have correlations of about 1/8 in magnitude.
      const found = correlation(Float64Array.from(map), colour);
      assert.ok(found > 0.5, `${text}: correlation ${found}`);
    }
  }));
