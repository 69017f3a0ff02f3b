// Compares float64 gradients with central differences of forward, independently of the reference's backward.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { additiveMask, keyMask, normalTensor, withCase } from '../support/cases.mjs';
import { maximumMagnitude } from '../support/compare.mjs';
import { Tensor } from '../support/package.mjs';

/**
 * Errors of (f(x + h) - f(x - h)) / 2h: h²·f'''/6, about 1e-10 for h = 1e-5·(1 + |x|), and the rounding error
 * of f divided by h, about 1e-16·√n/1e-5 ≈ 1e-10 for sums of n = 10⁴ products. Both are far below the
 * tolerance.
 */
const tolerance = 1e-6;
const step = 1e-5;

/** L = Σ output ∘ weights. Its output gradient is `weights`. */
const lossOf = (output, weights) => output.reduce((sum, value, index) => sum + value * weights[index], 0);

/** Returns up to `max` indices, spread evenly over the array. */
function someIndices(count, max = 48) {
  if (count <= max) return Array.from({ length: count }, (_, index) => index);
  return Array.from({ length: max }, (_, index) => Math.floor((index * (count - 1)) / (max - 1)));
}

/** Compares a gradient with central differences of `evaluate(values)`. Returns the largest relative error. */
function assertGradient(gradient, values, evaluate, name) {
  // With a single key, no output depends on the scores and their gradients are zero: errors need a minimal
  // scale.
  const scale = Math.max(maximumMagnitude(gradient), 1e-3);
  let worst = 0;
  for (const index of someIndices(values.length)) {
    const original = values[index];
    const h = step * (1 + Math.abs(original));
    const evaluateAt = (value) => {
      values[index] = value;
      return evaluate(values);
    };
    const difference = (evaluateAt(original + h) - evaluateAt(original - h)) / (2 * h);
    values[index] = original;
    const error = Math.abs(difference - gradient[index]) / scale;
    assert.ok(
      error <= tolerance,
      `${name}[${index}]: gradient ${gradient[index]}, central difference ${difference}, scale ${scale}`,
    );
    worst = Math.max(worst, error);
  }
  return worst;
}

const size = {
  dtype: 'float64',
  batch: 2,
  height: 3,
  width: 4,
  queryDim: 12,
  contextDim: 7,
  numHeads: 3,
  length: 9,
};
const cases = {
  image: {},
  tokens: { layout: 'tokens' },
  'single tokens': { layout: 'single', batch: 1, contextLayout: 'single' },
  'one context for all rows': { contextBatch: 1 },
  'self-attention': { contextDim: 12, length: null },
  'self-attention of tokens with a key mask': {
    layout: 'tokens',
    contextDim: 12,
    length: null,
    mask: keyMask(2, 12, 3),
  },
  'key mask that ignores all keys of a row': { mask: keyMask(2, 9, 3, { ignored: [0] }) },
  'additive mask': { mask: additiveMask([2, 3, 12, 9], 4) },
  'another scale and small blocks': { layerOptions: { scale: 0.9, blockSizeQ: 2, blockSizeKV: 4 } },
  'one token, one key, one channel': {
    batch: 1,
    height: 1,
    width: 1,
    queryDim: 1,
    contextDim: 1,
    numHeads: 1,
    length: 1,
  },
  'odd sizes above a tile': {
    batch: 1,
    height: 13,
    width: 3,
    queryDim: 26,
    contextDim: 11,
    numHeads: 2,
    length: 35,
  },
};

describe('the relative error of float64 gradients against central differences is at most 1e-6', () => {
  for (const [name, extra] of Object.entries(cases)) {
    test(name, (testContext) =>
      withCase({ ...size, ...extra }, ({ layer, input, context, options }, own) => {
        const outputGradient = own(normalTensor(input.shape, 9, { dtype: 'float64' }));
        const weights = outputGradient.data();
        layer.training = true;
        own(layer.forwardWithContext(input, context, options));
        const inputGradient = own(layer.backward(outputGradient)).data();
        const contextGradient = layer.contextGradient?.data();
        const parameterGradients = layer.getParameterGradients();
        layer.training = false;

        const run = (x, c) => {
          const output = layer.forwardWithContext(x, c, options);
          const loss = lossOf(output.data(), weights);
          output.dispose();
          return loss;
        };
        const withTensor = (values, shape, work) => {
          const tensor = Tensor.from(values, shape);
          const result = work(tensor);
          tensor.dispose();
          return result;
        };

        const worst = [];
        const check = (...call) => worst.push(assertGradient(...call));
        check(
          inputGradient,
          input.data(),
          (values) => withTensor(values, input.shape, (tensor) => run(tensor, context)),
          'input',
        );
        if (context !== null) {
          check(
            contextGradient,
            context.data(),
            (values) => withTensor(values, context.shape, (tensor) => run(input, tensor)),
            'context',
          );
        }
        let begin = 0;
        for (const parameterName of layer.getParameterNames()) {
          const parameter = own(layer.getParameter(parameterName));
          const gradient = parameterGradients.subarray(begin, begin + parameter.size);
          begin += parameter.size;
          const evaluate = (values) =>
            withTensor(values, parameter.shape, (tensor) => {
              layer.setParameter(parameterName, tensor);
              return run(input, context);
            });
          check(gradient, parameter.data(), evaluate, parameterName);
          layer.setParameter(parameterName, parameter);
        }
        testContext.diagnostic(`${name}: largest relative error ${Math.max(...worst).toExponential(1)}`);
      }),
    );
  }
});
