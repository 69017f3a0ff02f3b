// Gradients in float64 against central differences: the forward alone decides what the backward has to say.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { additiveMask, keyMask, normalTensor, withCase } from '../support/cases.mjs';
import { maximumMagnitude } from '../support/compare.mjs';
import { Tensor } from '../support/package.mjs';

/**
 * (f(x + h) - f(x - h)) / 2h is off by h²·f'''/6, about 1e-10 at h = 1e-5·(1 + |x|), and by the rounding of f divided by h,
 * about 1e-16·√n/1e-5 ≈ 1e-10 for sums of n = 10⁴ products: both well below what is demanded.
 */
const demanded = 1e-6;
const step = 1e-5;

/** L = Σ output ∘ weights, of which `weights` is the output gradient. */
const lossOf = (output, weights) => output.reduce((sum, value, index) => sum + value * weights[index], 0);

/** Some of the elements: all of small arrays, and spread over large ones. */
function someIndices(count, most = 48) {
  if (count <= most) return Array.from({ length: count }, (_, index) => index);
  return Array.from({ length: most }, (_, index) => Math.floor((index * (count - 1)) / (most - 1)));
}

/** Compares a gradient with differences of `evaluate` after adding to elements of `values`. */
function assertGradient(gradient, values, evaluate, what) {
  // Where there is but one key, nothing depends on the scores, and their gradients are zero: nothing to be relative to.
  const scale = Math.max(maximumMagnitude(gradient), 1e-3);
  let worst = 0;
  for (const index of someIndices(values.length)) {
    const original = values[index];
    const h = step * (1 + Math.abs(original));
    const at = (value) => {
      values[index] = value;
      return evaluate(values);
    };
    const difference = (at(original + h) - at(original - h)) / (2 * h);
    values[index] = original;
    const error = Math.abs(difference - gradient[index]) / scale;
    assert.ok(
      error <= demanded,
      `${what}[${index}]: gradient ${gradient[index]}, central difference ${difference}, of up to ${scale}`,
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
  'key mask with a row ignored fully': { mask: keyMask(2, 9, 3, { ignored: [0] }) },
  'additive mask': { mask: additiveMask([2, 3, 12, 9], 4) },
  'scale of its own and small blocks': { layerOptions: { scale: 0.9, blockSizeQ: 2, blockSizeKV: 4 } },
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

describe('float64 gradients are within 1e-6 relative of central differences', () => {
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
