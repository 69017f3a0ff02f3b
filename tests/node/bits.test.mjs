// Tests of reproducibility: the same bits with any number of threads and in every run, and the same initial
// weights in every variant.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { hashOf } from '../support/compare.mjs';
import { initialWeights } from '../support/initial_weights.mjs';
import { possibleVariants } from '../support/variant.mjs';

const support = new URL('../support/', import.meta.url);

/** A script that prints hashes of all results of a layer, with all kinds of masks, block sizes and dtypes. */
const script = (options) => `
  import { init } from 'diffusion-cross-attention';
  await init(${JSON.stringify(options)});
  const { additiveMask, keyMask, normalTensor, withCase } = await import('${new URL('cases.mjs', support)}');
  const { hashOf } = await import('${new URL('compare.mjs', support)}');
  const size = { batch: 2, height: 13, width: 11, queryDim: 60, contextDim: 37, numHeads: 5, length: 29 };
  const cases = {
    plain: {},
    tokens: { layout: 'tokens' },
    float64: { dtype: 'float64' },
    'self-attention': { contextDim: 60, length: null },
    'key mask': { mask: keyMask(2, 29, 1) },
    'additive mask': { mask: additiveMask([2, 5, 143, 29], 2) },
    'one context': { contextBatch: 1, length: 300 },
    'small blocks': { layerOptions: { blockSizeQ: 5, blockSizeKV: 7 } },
    wide: { height: 12, width: 12, queryDim: 320, contextDim: 64, numHeads: 8, length: 77 },
    // 33 blocks of 64 tokens: backward computes them in two chunks (see planBackward).
    large: { batch: 1, height: 48, width: 44, queryDim: 128, contextDim: 64, numHeads: 8, length: 77 },
  };
  const hashes = {};
  for (const [name, extra] of Object.entries(cases)) {
    await withCase({ ...size, ...extra }, async ({ layer, input, context, options }, own) => {
      const add = (part, values) => (hashes[name + ': ' + part] = hashOf(values));
      add('parameters', layer.getParameters());
      layer.training = true;
      const output = own(layer.forwardWithContext(input, context, options));
      add('forward', output.data());
      const outputGradient = own(normalTensor(input.shape, 9, { dtype: layer.dtype }));
      add('input gradient', own(layer.backward(outputGradient)).data());
      if (context !== null) add('context gradient', layer.contextGradient.data());
      add('parameter gradients', layer.getParameterGradients());
      add('maps', own(layer.attentionMaps(input, context, options)).data());
      add('forwardAsync', own(await layer.forwardAsync(input, context, options)).data());
    });
  }
  console.log(JSON.stringify(hashes));`;

const simdOf = [...new Set(possibleVariants.map((variant) => variant.split('-')[0]))];

// The script calls init before it imports cases.mjs (and with it package.mjs), so that its options are used.
describe('results do not depend on the number of threads', { concurrency: true }, () => {
  for (const simd of simdOf) {
    describe(simd, { concurrency: true }, () => {
      let single;
      before(async () => {
        single = await runForValue(script({ simd, threads: 1 }));
      });
      for (const threads of [1, 2, 3]) {
        test(`${threads} ${threads === 1 ? 'thread, again' : 'threads'}`, async () => {
          const hashes = await runForValue(script({ simd, threads }));
          assert.ok(Object.keys(hashes).length > 50);
          assert.deepEqual(hashes, single);
        });
      }
    });
  }
});

describe('the same seed gives the same weights in every variant', { concurrency: true }, () => {
  const dtypes = ['float32', 'float64'];
  const expected = initialWeights(24, 40, 20260101);
  for (const variant of possibleVariants) {
    describe(variant, () => {
      let hashes;
      before(async () => {
        const [simd, threads] = variant.split('-');
        hashes = await runForValue(`
          import { init, DiffusionCrossAttention } from 'diffusion-cross-attention';
          import { hashOf } from '${new URL('compare.mjs', support)}';
          await init({ simd: '${simd}', threads: ${threads === undefined ? 1 : 2} });
          const hashes = ${JSON.stringify(dtypes)}.map((dtype) => {
            const layer = new DiffusionCrossAttention(24, 40, 3, 8, { seed: 20260101, dtype });
            return [dtype, hashOf(layer.getParameters())];
          });
          console.log(JSON.stringify(Object.fromEntries(hashes)));`);
      });
      for (const dtype of dtypes) {
        test(dtype, () =>
          assert.equal(hashes[dtype], hashOf(dtype === 'float32' ? Float32Array.from(expected) : expected)),
        );
      }
    });
  }
});
