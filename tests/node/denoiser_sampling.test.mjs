// Tests of sampling: the effects of seed, steps, guidance, eta and the prompt's spelling, and the picture's
// formats.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, worstDifference } from '../support/compare.mjs';
import {
  expectNoMemoryAfterEach,
  samplePicture,
  randomModel,
  runtimeInfo,
  finishedSampler,
} from '../support/denoiser.mjs';
import { initOptions } from '../support/variant.mjs';

expectNoMemoryAfterEach();

const prompt = 'a red circle left of a blue square';

test('init returns the variant', () => {
  const { simd, threads } = runtimeInfo;
  assert.deepEqual({ simd, threads }, initOptions);
});

describe('a seed', () => {
  test('gives the same bits after other calls and in another model', () =>
    scoped((own) => {
      const model = randomModel(own);
      const picture = samplePicture(model, { prompt, seed: 7 });
      samplePicture(model, { prompt: 'a star', seed: 8, steps: 2 });
      assertSameBits(samplePicture(model, { prompt, seed: 7 }), picture, 'the second time');
      assertSameBits(
        samplePicture(randomModel(own), { prompt, seed: 7 }),
        picture,
        'another model of the same file',
      );
    }));

  test('gives the same bits if two samplers alternate', () =>
    scoped((own) => {
      const model = randomModel(own);
      const pair = [prompt, 'a star'].map((text) => own(model.sampler({ prompt: text, seed: 3, steps: 4 })));
      while (pair.map((sampler) => sampler.advance()).some(Boolean));
      assertSameBits(pair[0].picture(), samplePicture(model, { prompt, seed: 3 }), 'the first one');
      assertSameBits(
        pair[1].picture(),
        samplePicture(model, { prompt: 'a star', seed: 3 }),
        'the second one',
      );
    }));

  test('gives a different picture for each seed, up to the largest', () =>
    scoped((own) => {
      const model = randomModel(own);
      const seeds = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
      const pictures = seeds.map((seed) => samplePicture(model, { prompt, seed, steps: 2 }).join());
      assert.equal(new Set(pictures).size, seeds.length);
      assert.equal(
        samplePicture(model, { prompt, seed: undefined, steps: 2 }).join(),
        pictures[0],
        'the default is 0',
      );
    }));
});

describe('steps', () => {
  test('is the number of frames; further calls have no effect', () =>
    scoped((own) => {
      const model = randomModel(own);
      for (const steps of [1, 2, 7]) {
        const sampler = own(model.sampler({ prompt, steps }));
        assert.deepEqual([sampler.step, sampler.steps], [0, steps]);
        const frames = [...sampler];
        assert.deepEqual(
          frames,
          Array.from({ length: steps }, (_, index) => ({ step: index + 1, steps })),
        );
        const picture = sampler.picture();
        assert.equal(sampler.advance(), false);
        assert.deepEqual([...sampler], []);
        assert.equal(sampler.step, steps);
        assertSameBits(sampler.picture(), picture, 'the picture after its last step');
      }
    }));

  test('defaults to 20', () =>
    scoped((own) => {
      const model = randomModel(own);
      assert.equal([...own(model.sampler({ prompt }))].length, 20);
    }));

  test('advance and iteration can alternate', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = own(model.sampler({ prompt, seed: 1, steps: 4 }));
      assert.equal(sampler.advance(), true);
      for (const { step } of sampler) if (step === 3) break;
      assert.equal(sampler.step, 3);
      assert.equal(sampler.advance(), true);
      assertSameBits(sampler.picture(), samplePicture(model, { prompt }), 'the picture');
    }));
});

describe('the picture', () => {
  test('has shape [3, imageSize, imageSize] and different values from -1 to 1 at every step', () =>
    scoped((own) => {
      const model = randomModel(own);
      // With this guidance the unclamped estimate leaves the range.
      const sampler = own(model.sampler({ prompt, steps: 3, guidance: 5 }));
      assert.deepEqual(new Set(sampler.picture()), new Set([0]), 'before the first step');
      for (const { step } of sampler) {
        const picture = sampler.picture();
        assert.ok(picture instanceof Float32Array);
        assert.equal(picture.length, 3 * model.imageSize ** 2);
        assert.ok(
          picture.every((value) => value >= -1 && value <= 1),
          `step ${step}`,
        );
        assert.ok(picture.includes(-1) && picture.includes(1), 'some values are clamped');
        assert.ok(new Set(picture).size > 100, `step ${step}`);
      }
    }));

  test('rgba returns 255·(value + 1)/2, rounded, and alpha 255', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = finishedSampler(own, model, { prompt });
      const picture = sampler.picture();
      const rgba = sampler.rgba();
      assert.ok(rgba instanceof Uint8ClampedArray);
      const pixels = model.imageSize ** 2;
      assert.equal(rgba.length, 4 * pixels);
      for (let pixel = 0; pixel < pixels; ++pixel) {
        for (let channel = 0; channel < 3; ++channel) {
          const exact = 127.5 * (picture[channel * pixels + pixel] + 1);
          const difference = Math.abs(rgba[4 * pixel + channel] - exact);
          assert.ok(difference <= 0.5, `pixel ${pixel}, channel ${channel}: ${difference}`);
        }
        assert.equal(rgba[4 * pixel + 3], 255);
      }
    }));

  test('is a copy: changing it does not change the sampler', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = own(model.sampler({ prompt, seed: 1, steps: 4 }));
      while (sampler.advance()) {
        sampler.picture().fill(9);
        sampler.maps().fill(9);
      }
      assertSameBits(sampler.picture(), samplePicture(model, { prompt }), 'the picture');
    }));
});

describe('guidance', () => {
  test('1, which skips the empty prompt, gives the same picture as a value next to 1', () =>
    scoped((own) => {
      const model = randomModel(own);
      const unguided = samplePicture(model, { prompt, guidance: 1, steps: 1 });
      // The error of empty + (1 + 2^-23)·(value - empty) in float32 is 2^-23·|value - empty| plus three
      // roundings of numbers up to 8, 2^-22 each. The rest of the tolerance is for another order of sums.
      const guided = samplePicture(model, { prompt, guidance: 1 + 2 ** -23, steps: 1 });
      assertClose(guided, unguided, 1e-5, 'the picture');
      const other = samplePicture(model, { prompt, guidance: 3, steps: 1 });
      assert.ok(worstDifference(other, unguided).difference > 0.01, 'guidance has an effect');
    }));

  test('0 gives the picture of the empty prompt', () =>
    scoped((own) => {
      const model = randomModel(own);
      const unguided = samplePicture(model, { prompt: '', guidance: 1 });
      // The empty prompt is padded to the length of the other: sums have additional zeros and another order.
      assertClose(samplePicture(model, { prompt, guidance: 0 }), unguided, 1e-4, 'the picture');
      const worded = samplePicture(model, { prompt, guidance: 1 });
      assert.ok(worstDifference(worded, unguided).difference > 0.01, 'the words have an effect');
    }));
});

describe('eta', () => {
  test('adds new noise after each step except the last', () =>
    scoped((own) => {
      const model = randomModel(own);
      const etas = [0, 0.5, 1];
      const oneStep = etas.map((eta) => samplePicture(model, { prompt, eta, steps: 1 }));
      const twoSteps = etas.map((eta) => samplePicture(model, { prompt, eta, steps: 2 }));
      assertSameBits(oneStep[1], oneStep[0], 'one step');
      assertSameBits(oneStep[2], oneStep[0], 'one step');
      assert.ok(worstDifference(twoSteps[1], twoSteps[0]).difference > 0.01, '0.5 differs from 0');
      assert.ok(worstDifference(twoSteps[2], twoSteps[1]).difference > 0.01, '1 differs from 0.5');
      assertSameBits(samplePicture(model, { prompt, eta: 1, steps: 2 }), twoSteps[2], 'the same seed');
      assertSameBits(samplePicture(model, { prompt, steps: 2 }), twoSteps[1], 'the default is 0.5');
    }));

  test('1 replaces the noise in each step, 0 keeps the rest of the first', () =>
    scoped((own) => {
      // One of 1000 steps hardly changes the model's input unless the noise is replaced.
      const model = randomModel(own);
      const changes = [0, 1].map((eta) => {
        const sampler = own(model.sampler({ prompt, seed: 3, eta, steps: 1000, guidance: 1 }));
        sampler.advance();
        const before = sampler.picture();
        sampler.advance();
        return worstDifference(sampler.picture(), before).difference;
      });
      assert.ok(changes[1] > 10 * changes[0], `${changes}`);
    }));
});

describe('a prompt', () => {
  test('ignores case and punctuation', () =>
    scoped((own) => {
      const model = randomModel(own);
      const picture = samplePicture(model, { prompt });
      for (const spelling of [
        'A RED circle, left of a Blue Square!',
        '  "a red\tcircle" (left of:\n a blue square)...  ',
      ]) {
        const sampler = finishedSampler(own, model, { prompt: spelling });
        assert.deepEqual(sampler.words, prompt.split(' '));
        assert.deepEqual(model.splitWords(spelling), prompt.split(' '));
        assertSameBits(sampler.picture(), picture, spelling);
      }
    }));

  test('determines the picture: other words or another order give other pictures', () =>
    scoped((own) => {
      const model = randomModel(own);
      const prompts = [
        prompt,
        'a blue circle left of a red square',
        'a red circle right of a blue square',
        'a red circle',
        '',
      ];
      const pictures = prompts.map((text) => samplePicture(model, { prompt: text, steps: 2 }).join());
      assert.equal(new Set(pictures).size, prompts.length);
    }));

  test('may have up to maxWords words', () =>
    scoped((own) => {
      const model = randomModel(own);
      const sampler = finishedSampler(own, model, { prompt: 'red '.repeat(model.maxWords), steps: 1 });
      assert.equal(sampler.words.length, model.maxWords);
      assert.equal(sampler.maps().length, model.maxWords * model.mapSize ** 2);
    }));
});
