// Tests of forward: layouts, the benchmark's shapes, options, cached contexts.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { chooseTokens, makeCase, normalTensor, scoped, withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits, assertWithin } from '../support/compare.mjs';
import { forwardBound } from '../support/error_bounds.mjs';
import { DiffusionCrossAttention, memoryInUse, Tensor } from '../support/package.mjs';
import { forward } from '../support/reference.mjs';
import { shapes } from '../../support/shapes.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

/** Allowed error of float32 against float64 for unit-normal data and Xavier weights. */
const allowedError = (queryDim) => 2e-6 * Math.sqrt(queryDim);

/** Selects tokens at corners, block borders and in between: enough to detect a wrong block. */
function someTokens(tokens) {
  const candidates = [0, 1, 7, 8, 63, 64, 127, 128, Math.floor(tokens / 2), tokens - 2, tokens - 1];
  return [...new Set(candidates.filter((token) => token >= 0 && token < tokens))];
}

describe('the error of float32 against the float64 reference is at most 2e-6·√C', () => {
  for (const shape of shapes) {
    test(shape.name, (context) =>
      withCase({ ...shape, dtype: 'float32' }, (made, own) => {
        const output = own(made.layer.forwardWithContext(made.input, made.context));
        assert.deepEqual(output.shape, made.input.shape);
        const chosen = someTokens(made.problem.tokens);
        const actual = chooseTokens(made.toTokens(output.data()), made.problem, chosen);
        const allowed = allowedError(shape.queryDim);
        const worst = assertClose(actual, forward(made.problem, chosen), allowed, shape.name);
        context.diagnostic(
          `${shape.name}: largest error ${worst.toExponential(1)}, allowed ${allowed.toExponential(1)}`,
        );
      }),
    );
  }
});

describe('layouts', () => {
  const size = { batch: 2, height: 5, width: 7, queryDim: 24, contextDim: 17, numHeads: 3, length: 11 };
  for (const dtype of ['float32', 'float64']) {
    for (const layout of ['image', 'tokens', 'single']) {
      for (const contextLayout of ['batched', 'shared', 'single']) {
        test(`${layout} with ${contextLayout} context, ${dtype}`, () => {
          const description = {
            ...size,
            dtype,
            layout,
            batch: layout === 'single' ? 1 : size.batch,
            contextLayout: contextLayout === 'single' ? 'single' : 'batched',
            ...(contextLayout === 'shared' ? { contextBatch: 1 } : {}),
          };
          withCase(description, ({ layer, input, context, problem, toTokens }, own) => {
            const output = own(layer.forwardWithContext(input, context));
            assert.deepEqual(output.shape, input.shape);
            assert.equal(output.dtype, dtype);
            assertWithin(toTokens(output.data()), forward(problem), forwardBound(problem, dtype), 'output');
          });
        });
      }
    }
  }

  test('image layout and token layout give the same bits', () =>
    withCase({ ...size, dtype: 'float64' }, ({ layer, input, context, problem, toTokens }, own) => {
      const tokens = own(Tensor.from(problem.input, [2, 35, 24]));
      const fromImage = own(layer.forwardWithContext(input, context));
      const fromTokens = own(layer.forwardWithContext(tokens, context));
      assertSameBits(fromTokens.data(), toTokens(fromImage.data()), 'output');
    }));
});

describe('self-attention', () => {
  const size = { batch: 2, height: 6, width: 5, queryDim: 32, numHeads: 4, length: null };
  for (const dtype of ['float32', 'float64']) {
    for (const layout of ['image', 'tokens']) {
      test(`${layout}, ${dtype}: forward(input) equals forwardWithContext(input, null)`, () =>
        withCase({ ...size, layout, dtype }, ({ layer, input, problem, toTokens }, own) => {
          const output = own(layer.forward(input));
          assertWithin(toTokens(output.data()), forward(problem), forwardBound(problem, dtype), 'output');
          for (const none of [null, undefined]) {
            assertSameBits(own(layer.forwardWithContext(input, none)).data(), output.data(), String(none));
          }
        }));
    }
  }
});

describe('sizes of 0, as in PyTorch', () => {
  const layerWith = (own) => own(new DiffusionCrossAttention(8, 4, 2, 1, { seed: 3 }));
  const empty = [
    ['image batch size 0', [0, 8, 4, 4], [1, 5, 4]],
    ['image height 0', [2, 8, 0, 4], [1, 5, 4]],
    ['0 tokens', [0, 8], [5, 4]],
    ['batch size 0 of input and context', [0, 3, 8], [0, 5, 4]],
  ];
  for (const [name, inputShape, contextShape] of empty) {
    test(`${name}: the output is empty`, () =>
      scoped((own) => {
        const layer = layerWith(own);
        const [input, context] = [own(Tensor.zeros(inputShape)), own(Tensor.zeros(contextShape))];
        assert.deepEqual(own(layer.forwardWithContext(input, context)).shape, inputShape);
        layer.training = true;
        own(layer.forwardWithContext(input, context));
        assert.deepEqual(own(layer.backward(input)).shape, inputShape);
        assert.ok(layer.getParameterGradients().every((gradient) => gradient === 0));
      }));
  }

  test('0 keys: the output is the bias', () =>
    scoped((own) => {
      const layer = layerWith(own);
      const bias = own(normalTensor([8], 1));
      layer.setParameter('to_out.0.bias', bias);
      const input = own(normalTensor([3, 8], 2));
      const output = own(layer.forwardWithContext(input, own(Tensor.zeros([0, 4]))));
      for (let token = 0; token < 3; ++token) {
        assertSameBits(output.data().subarray(token * 8, token * 8 + 8), bias.data(), `token ${token}`);
      }
    }));
});

describe('options of the layer', () => {
  const size = { batch: 1, height: 9, width: 5, queryDim: 24, contextDim: 10, numHeads: 4, length: 37 };

  for (const scale of [0, 1, -0.7, 3.5]) {
    test(`scale ${scale}`, () =>
      withCase({ ...size, dtype: 'float64', layerOptions: { scale } }, (made, own) => {
        const output = own(made.layer.forwardWithContext(made.input, made.context));
        const { problem } = made;
        assertWithin(
          made.toTokens(output.data()),
          forward(problem),
          forwardBound(problem, 'float64'),
          'output',
        );
      }));
  }

  for (const dtype of ['float32', 'float64']) {
    for (const [blockSizeQ, blockSizeKV] of [
      [1, 1],
      [3, 5],
      [8, 16],
      [1000, 1000],
      [32768, 32768],
      [0, 9],
      [9, 0],
    ]) {
      test(`blocks of ${blockSizeQ} tokens and ${blockSizeKV} keys, ${dtype}: the same result`, () =>
        withCase({ ...size, dtype, layerOptions: { blockSizeQ, blockSizeKV } }, (made, own) => {
          const output = own(made.layer.forwardWithContext(made.input, made.context));
          const { problem } = made;
          assertWithin(
            made.toTokens(output.data()),
            forward(problem),
            forwardBound(problem, dtype),
            'output',
          );
        }));
    }
  }

  test('spatialSize does not restrict the size of images', () =>
    scoped((own) => {
      const layer = own(new DiffusionCrossAttention(8, 8, 2, 4));
      for (const shape of [
        [1, 8, 4, 4],
        [1, 8, 3, 9],
        [5, 8],
      ]) {
        assert.deepEqual(own(layer.forward(own(Tensor.randn(shape)))).shape, shape);
      }
    }));
});

describe('a repeated context', () => {
  const size = { batch: 2, height: 4, width: 4, queryDim: 16, contextDim: 12, numHeads: 2, length: 9 };

  test('gives the same bits until the context or the parameters change', () =>
    withCase(size, ({ layer, input, context }, own) => {
      const run = () => own(layer.forwardWithContext(input, context)).data();
      const first = run();
      assertSameBits(run(), first, 'again');

      context.view()[0] += 1;
      const changed = run();
      assert.notDeepEqual(changed, first, 'a changed context is not taken from the cache');
      context.view()[0] -= 1;
      // (x + 1) - 1 may differ from x by a rounding, so this checks only that the cached keys are not used.
      layer.resetState();
      const restored = run();
      assert.notDeepEqual(restored, changed);

      const parameters = layer.getParameters();
      layer.setParameters(parameters.map((value) => 2 * value));
      assert.notDeepEqual(run(), restored, 'after setParameters');
      layer.setParameters(parameters);
      assertSameBits(run(), restored, 'with the earlier parameters');

      const weight = own(layer.getParameter('to_v.weight'));
      const doubled = own(
        Tensor.from(
          weight.data().map((v) => 2 * v),
          weight.shape,
        ),
      );
      layer.setParameter('to_v.weight', doubled);
      assert.notDeepEqual(run(), restored, 'after setParameter');
    }));

  test('gives the same bits after calls with other contexts and layers', () =>
    scoped((own) => {
      const [one, two] = [1, 2].map((seed) => own(makeCase({ ...size, seed })));
      const run = (made, other) => own(made.layer.forwardWithContext(made.input, other.context)).data();
      const expected = [run(one, one), run(one, two), run(two, one)];
      for (let round = 0; round < 2; ++round) {
        assertSameBits(run(one, two), expected[1], 'another context');
        assertSameBits(run(two, one), expected[2], 'another layer');
        assertSameBits(run(one, one), expected[0], 'the first context');
      }
    }));
});

test('properties return the arguments of the constructor or their defaults', () =>
  scoped((own) => {
    const layer = own(new DiffusionCrossAttention(320, 768));
    const { queryDim, contextDim, numHeads, headDim, spatialSize, dtype } = layer;
    assert.deepEqual(
      { queryDim, contextDim, numHeads, headDim, spatialSize, dtype },
      { queryDim: 320, contextDim: 768, numHeads: 8, headDim: 40, spatialSize: 64, dtype: 'float32' },
    );
    assert.equal(layer.parameterCount, 2 * 320 * 320 + 2 * 320 * 768 + 320);
    assert.equal(layer.supportsTraining, true);
    assert.equal(layer.supportsJitCompilation, true);
    assert.equal(layer.training, false);
    assert.equal(layer.contextGradient, null);
    const wide = own(new DiffusionCrossAttention(6, 4, 3, 16, { dtype: 'float64' }));
    assert.deepEqual([wide.headDim, wide.spatialSize, wide.dtype], [2, 16, 'float64']);
    assert.equal(wide.parameterCount, 2 * 36 + 2 * 24 + 6);
  }));
