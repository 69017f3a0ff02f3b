// Compares the layer with the reference at random shapes. The tolerances are the bounds of a rounding-error
// analysis of each case.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { dtypes, layerCase, runs } from '../support/arbitraries.mjs';
import { joinParameters, normalTensor, withCase } from '../support/cases.mjs';
import { assertFinite, assertSameBits, assertWithin } from '../support/compare.mjs';
import { forwardBound, gradientRelativeBound, mapsBound, unitRoundoff } from '../support/error_bounds.mjs';
import { memoryInUse } from '../support/package.mjs';
import { attentionMaps, forward, meanOverHeads } from '../support/reference.mjs';
import { backward, gradientMagnitudes } from '../support/reference_backward.mjs';

const check = (property, numRuns) => fc.assert(property, runs(numRuns));

for (const dtype of dtypes) {
  describe(`random shapes, ${dtype}`, () => {
    test('forward', () => {
      check(
        fc.property(layerCase(dtype), (description) =>
          withCase(description, ({ layer, input, context, options, problem, toTokens }, own) => {
            const output = own(layer.forwardWithContext(input, context, options));
            assert.deepEqual(output.shape, input.shape);
            assert.equal(output.dtype, dtype);
            assertWithin(toTokens(output.data()), forward(problem), forwardBound(problem, dtype), 'output');
          }),
        ),
        120,
      );
    });

    test('attention maps: all heads and mean', () => {
      check(
        fc.property(layerCase(dtype, { maxCost: 200_000 }), (description) =>
          withCase(description, ({ layer, input, context, options, problem }, own) => {
            const { batch, numHeads, length } = problem;
            const tokenShape = input.rank === 4 ? input.shape.slice(2) : [problem.tokens];
            const expected = attentionMaps(problem);
            const bound = mapsBound(problem, dtype);
            const all = own(layer.attentionMaps(input, context, { ...options, heads: 'all' }));
            assert.deepEqual(all.shape, [batch, numHeads, length, ...tokenShape]);
            assertWithin(all.data(), expected, bound, 'maps of all heads');
            const mean = own(layer.attentionMaps(input, context, options));
            assert.deepEqual(mean.shape, [batch, length, ...tokenShape]);
            // The sum over the heads has one rounding per head.
            const slack = meanOverHeads(bound, batch, numHeads).map(
              (error) => error + (numHeads + 1) * unitRoundoff(dtype),
            );
            assertWithin(mean.data(), meanOverHeads(expected, batch, numHeads), slack, 'mean of the maps');
          }),
        ),
        100,
      );
    });

    test('backward: input, context and all parameters', () => {
      check(
        fc.property(layerCase(dtype, { maxCost: 100_000 }), (description) =>
          withCase(description, ({ layer, input, context, options, problem, toTokens }, own) => {
            layer.training = true;
            layer.forwardWithContext(input, context, options).dispose();
            const outputGradient = own(normalTensor(input.shape, description.seed + 9, { dtype }));
            const inputGradient = own(layer.backward(outputGradient));
            assert.deepEqual(inputGradient.shape, input.shape);

            const gradientRows = toTokens(outputGradient.data());
            const expected = backward(problem, gradientRows);
            const magnitudes = gradientMagnitudes(problem, gradientRows);
            const relative = gradientRelativeBound(problem, dtype);
            const allowed = (values) => values.map((value) => relative * value + 1e-30);
            assertWithin(
              toTokens(inputGradient.data()),
              expected.input,
              allowed(magnitudes.input),
              'input gradient',
            );
            if (context === null) {
              assert.equal(layer.contextGradient, null);
            } else {
              assert.deepEqual(layer.contextGradient.shape, context.shape);
              const contextGradient = layer.contextGradient.data();
              assertWithin(
                contextGradient,
                expected.context,
                allowed(magnitudes.context),
                'context gradient',
              );
            }
            const parameterGradients = layer.getParameterGradients();
            const parameterSlack = allowed(joinParameters(magnitudes));
            assertWithin(parameterGradients, joinParameters(expected), parameterSlack, 'parameter gradients');
          }),
        ),
        100,
      );
    });

    test('inputs up to ±1e4: finite results, probabilities between 0 and 1', () => {
      const magnitude = fc.constantFrom(1e-30, 1e-4, 10, 1e2, 1e3, 1e4);
      check(
        fc.property(layerCase(dtype, { maxCost: 100_000, magnitude }), (description) =>
          withCase(description, ({ layer, input, context, options, problem }, own) => {
            layer.training = true;
            const output = own(layer.forwardWithContext(input, context, options));
            assertFinite(output.data(), 'output');
            const outputGradient = own(normalTensor(input.shape, description.seed + 9, { dtype }));
            const inputGradient = own(layer.backward(outputGradient));
            assertFinite(inputGradient.data(), 'input gradient');
            if (context !== null) assertFinite(layer.contextGradient.data(), 'context gradient');
            assertFinite(layer.getParameterGradients(), 'parameter gradients');
            const maps = own(layer.attentionMaps(input, context, { ...options, heads: 'all' }));
            assertProbabilities(maps.data(), problem, dtype);
          }),
        ),
        120,
      );
    });

    test('forwardAsync and a repeated forward with the same context return the same bits', async () => {
      await fc.assert(
        fc.asyncProperty(layerCase(dtype, { maxCost: 100_000 }), (description) =>
          withCase(description, async ({ layer, input, context, options }, own) => {
            const first = own(layer.forwardWithContext(input, context, options));
            const again = own(layer.forwardWithContext(input, context, options));
            assertSameBits(again.data(), first.data(), 'forward with a cached context');
            layer.resetState();
            const asyncOutput = own(await layer.forwardAsync(input, context, options));
            assertSameBits(asyncOutput.data(), first.data(), 'forwardAsync');
          }),
        ),
        runs(80),
      );
    });
  });
}

test('afterwards no memory is in use', () => assert.equal(memoryInUse(), 0));

/** Asserts values between 0 and 1, up to rounding, and zeros if all keys are ignored. */
function assertProbabilities(maps, { batch, numHeads, length, tokens, mask }, dtype) {
  const unit = unitRoundoff(dtype);
  for (let row = 0; row < batch * numHeads; ++row) {
    for (let token = 0; token < tokens; ++token) {
      let sum = 0;
      let attended = mask === null;
      for (let l = 0; l < length; ++l) {
        const probability = maps[(row * length + l) * tokens + token];
        assert.ok(probability >= 0 && probability <= 1 + 8 * unit, `a probability is ${probability}`);
        sum += probability;
        attended ||= mask(Math.floor(row / numHeads), row % numHeads, token, l) > -Infinity;
      }
      if (!attended) assert.equal(sum, 0);
    }
  }
}
