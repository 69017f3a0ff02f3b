// Tests of attentionMaps: shapes, comparison with the reference, and sums of probabilities.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { additiveMask, keyMask, normalTensor, scoped, withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits, assertWithin } from '../support/compare.mjs';
import { gamma, mapsBound, unitRoundoff } from '../support/error_bounds.mjs';
import { assertThrows } from '../support/errors.mjs';
import { ArgumentError, DiffusionCrossAttention, memoryInUse, Tensor } from '../support/package.mjs';
import { attentionMaps, meanOverHeads } from '../support/reference.mjs';
import { shapeNamed } from '../../support/shapes.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const size = { batch: 2, height: 4, width: 7, queryDim: 24, contextDim: 10, numHeads: 3, length: 13 };

for (const dtype of ['float32', 'float64']) {
  describe(`against the reference, ${dtype}`, () => {
    const cases = {
      image: {},
      tokens: { layout: 'tokens' },
      'single tokens': { layout: 'single', batch: 1 },
      'self-attention': { contextDim: 24, length: null },
      'key mask': { mask: keyMask(2, 13, 3, { ignored: [1] }) },
      'additive mask': { mask: additiveMask([2, 3, 28, 13], 4) },
      'small blocks': { layerOptions: { blockSizeQ: 8, blockSizeKV: 6 } },
      'long context': { length: 300 },
    };
    for (const [name, extra] of Object.entries(cases)) {
      test(name, () =>
        withCase({ ...size, dtype, ...extra }, ({ layer, input, context, options, problem }, own) => {
          const { batch, numHeads, length, tokens } = problem;
          const tokenShape = input.rank === 4 ? [4, 7] : [tokens];
          const expected = attentionMaps(problem);
          const bound = mapsBound(problem, dtype);
          const all = own(layer.attentionMaps(input, context, { ...options, heads: 'all' }));
          assert.deepEqual(all.shape, [batch, numHeads, length, ...tokenShape]);
          assert.equal(all.dtype, dtype);
          assertWithin(all.data(), expected, bound, 'all heads');
          for (const heads of ['mean', undefined]) {
            const mean = own(layer.attentionMaps(input, context, { ...options, heads }));
            assert.deepEqual(mean.shape, [batch, length, ...tokenShape]);
            const slack = meanOverHeads(bound, batch, numHeads).map(
              (error) => error + gamma(numHeads + 1, unitRoundoff(dtype)),
            );
            assertWithin(mean.data(), meanOverHeads(expected, batch, numHeads), slack, 'mean');
          }
        }),
      );
    }
  });
}

/** Sums [rows, length, tokens] over the keys; returns [rows, tokens]. */
function sumsOverKeys(maps, rows, length, tokens) {
  return Float64Array.from({ length: rows * tokens }, (_, index) => {
    const begin = Math.floor(index / tokens) * length * tokens + (index % tokens);
    let sum = 0;
    for (let l = 0; l < length; ++l) sum += maps[begin + l * tokens];
    return sum;
  });
}

describe('the maps are probabilities', () => {
  test('they sum to 1 at sd15-16, with and without a mask', () =>
    withCase(shapeNamed('sd15-16'), ({ layer, input, context }, own) => {
      const mask = own(Tensor.from(keyMask(2, 77, 5).values, [2, 77]));
      for (const options of [{}, { mask }]) {
        const maps = own(layer.attentionMaps(input, context, options)).data();
        const ones = new Float64Array(2 * 256).fill(1);
        // Rounding errors of a probability: its exponential and the sum of 77 terms (see error_bounds.mjs),
        // and one per head in the mean. For unit-normal data the subtracted log-sum-exp is below 16 in
        // magnitude.
        const unit = unitRoundoff('float32');
        assertClose(sumsOverKeys(maps, 2, 77, 256), ones, gamma(2 * 77 + 12 + 8 + 32, unit), 'sums');
      }
    }));

  for (const dtype of ['float32', 'float64']) {
    for (const magnitude of [1, 1e4]) {
      test(`equal keys get equal probabilities: magnitude ${magnitude}, ${dtype}`, () =>
        scoped((own) => {
          // The padding tokens of a prompt are equal keys. The softmax of equal scores is 1/L.
          const length = 77;
          const layer = own(new DiffusionCrossAttention(16, 16, 2, 4, { dtype, seed: 5 }));
          const input = own(normalTensor([1, 16, 4, 4], 1, { dtype, deviation: magnitude }));
          const row = normalTensor([16], 2, { dtype, deviation: magnitude });
          const rows = Array.from({ length }, () => [...row.data()]).flat();
          row.dispose();
          const context = own(Tensor.from(rows, [length, 16], dtype));
          const maps = own(layer.attentionMaps(input, context, { heads: 'all' })).data();
          const expected = new Float64Array(maps.length).fill(1 / length);
          const allowed = gamma(2 * length + 12, unitRoundoff(dtype));
          assertClose(maps, expected, allowed / length, 'probabilities');
        }));
    }
  }

  test('a large mask value on all keys of a row has no effect', () =>
    withCase({ ...size, dtype: 'float32', layout: 'tokens' }, ({ layer, input, context }, own) => {
      const mask = own(Tensor.full([1, 1, 1, 13], -1e6));
      const maps = own(layer.attentionMaps(input, context, { mask })).data();
      const ones = new Float64Array(2 * 28).fill(1);
      assertClose(sumsOverKeys(maps, 2, 13, 28), ones, gamma(2 * 13 + 12, unitRoundoff('float32')), 'sums');
    }));
});

test('attentionMaps does not change saved activations, gradients or cached contexts', () =>
  withCase(size, ({ layer, input, context }, own) => {
    layer.training = true;
    const output = own(layer.forwardWithContext(input, context));
    const gradient = own(normalTensor(input.shape, 3));
    const first = own(layer.backward(gradient)).data();
    own(layer.attentionMaps(own(normalTensor([1, 24, 2, 2], 7)), own(normalTensor([1, 5, 10], 8))));
    assertSameBits(own(layer.backward(gradient)).data(), first, 'backward of the earlier forward');
    assertSameBits(own(layer.forwardWithContext(input, context)).data(), output.data(), 'forward');
  }));

test("throws ArgumentError if heads is neither 'mean' nor 'all'", () =>
  withCase(size, ({ layer, input, context }) => {
    for (const heads of ['both', 3, null, '']) {
      assertThrows(
        () => layer.attentionMaps(input, context, { heads }),
        ArgumentError,
        'heads',
        'mean',
        'all',
      );
    }
  }));
