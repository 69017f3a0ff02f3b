// Tests of the WebGPU operators that train the denoiser, compared with loops in float64 and their central
// differences. Tolerance: sums have at most 288 terms of about 1, with two roundings each. If errors are
// random, rounding is about 2^-24 · 2 · √288 of the largest magnitude; 8 times that is allowed. exp has an
// error of up to 4 ULP.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { normalArray } from '../../support/random.mjs';
import { forward as attention } from '../support/reference.mjs';
import * as reference from '../support/reference_operators.mjs';
import { assertNoUncapturedErrors, counts } from '../support/webgpu.mjs';
import { tapeBench } from '../support/webgpu_tape.mjs';
import * as forTests from '../../build/for_tests/denoiser_webgpu.js';

const { centralDifferences } = reference;
const bench = await tapeBench();
after(() => {
  bench.dispose();
  assertNoUncapturedErrors();
  assert.equal(counts.alive, 0, 'buffers are alive');
});

const relativeTolerance = 8 * 2 * Math.sqrt(288) * 2 ** -24;
const assertNear = (actual, expected, name) =>
  assertClose(actual, expected, relativeTolerance * Math.max(1, maximumMagnitude(expected)), name);

let seed = 0;
/** Normal numbers, rounded to float32 as on the GPU. */
const normal = (shape, deviation = 1) => {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  const values = Float64Array.from(normalArray(size, ++seed, { dtype: 'float32', deviation }));
  return { shape, values };
};
const tensorOf = (shape, values) => ({ shape, values: Float64Array.from(values) });

/**
 * Compares an operator on the GPU with the reference: the output, all gradients, and the accumulated
 * gradients if the operator is used twice. `integerInputs` are indices of inputs without a gradient.
 */
function check(name, inputs, onGpu, inFloat64, integerInputs = []) {
  test(name, async () => {
    const expected = inFloat64(...inputs);
    const outputGradient = normalArray(expected.values.length, ++seed, { dtype: 'float32' });
    const gradients = inputs.map((_, index) =>
      integerInputs.includes(index) ? null : centralDifferences(inFloat64, inputs, index, outputGradient),
    );
    const once = await bench.differentiate(onGpu, inputs, outputGradient, integerInputs);
    assertNear(once.output, expected.values, 'output');
    const twice = await bench.differentiate(
      (tape, ...values) => forTests.sum(tape, onGpu(tape, ...values), onGpu(tape, ...values)),
      inputs,
      outputGradient,
      integerInputs,
    );
    gradients.forEach((gradient, index) => {
      if (gradient === null) return;
      assertNear(once.gradients[index], gradient, `gradient of input ${index}`);
      const doubled = gradient.map((value) => 2 * value);
      assertNear(twice.gradients[index], doubled, `gradient of input ${index}, used twice`);
    });
  });
}

describe('an operator of the tape', () => {
  check('a + b', [normal([2, 3, 5]), normal([2, 3, 5])], forTests.sum, reference.add);
  check(
    'x + a tensor shared by batch rows',
    [normal([2, 3, 4]), normal([3, 4])],
    forTests.sumShared,
    reference.broadcastAdd,
  );
  check(
    'x + a tensor shared by the beginnings of batch rows',
    [normal([3, 4, 5]), normal([2, 5])],
    forTests.sumShared,
    reference.broadcastAdd,
  );
  for (const [batch, tokens, inFeatures, outFeatures] of [
    [3, 1, 8, 4],
    [1, 40, 3, 5],
    // With this many tokens, each batch row has a separate sum.
    [2, 33, 4, 6],
    [20, 1, 4, 4],
  ]) {
    check(
      `linear, ${batch} × ${tokens} tokens of ${inFeatures} to ${outFeatures} features`,
      [normal([batch, tokens, inFeatures]), normal([outFeatures, inFeatures]), normal([outFeatures])],
      forTests.linear,
      reference.linear,
    );
  }
  check(
    'convolution, few tokens',
    [normal([2, 9, 3]), normal([3, 3, 3, 4])],
    forTests.convolution,
    reference.convolution,
  );
  check(
    'convolution, separate sums of batch rows',
    [normal([2, 36, 2]), normal([3, 3, 2, 3])],
    forTests.convolution,
    reference.convolution,
  );
  check(
    'depthwise convolution',
    [normal([2, 16, 5]), normal([3, 3, 5])],
    forTests.depthwiseConvolution,
    reference.depthwiseConvolution,
  );
  // More features than invocations per row, and a partial last workgroup.
  check('layer norm', [normal([2, 3, 21])], forTests.layerNorm, reference.layerNorm);
  check('layer norm of few features', [normal([1, 5, 4])], forTests.layerNorm, reference.layerNorm);
  for (const kind of ['silu', 'gelu']) {
    const inputs = [normal([2, 3, 7], 3)];
    inputs[0].values.set([-200, 200, 0, -10, 10, 1e-3]);
    check(kind, inputs, (tape, x) => forTests.activate(tape, x, kind), reference[kind]);
  }
  check(
    'modulate',
    [normal([2, 3, 4]), normal([2, 5, 4])],
    (tape, x, modulation) => forTests.modulate(tape, x, modulation, 1),
    (x, modulation) => reference.modulate(x, modulation, 1),
  );
  check(
    'gated sum',
    [normal([2, 20, 3]), normal([2, 20, 3]), normal([2, 4, 3])],
    (tape, x, branch, modulation) => forTests.gatedSum(tape, x, branch, modulation, 2),
    (x, branch, modulation) => reference.gatedSum(x, branch, modulation, 2),
  );
  check(
    'embedding',
    [tensorOf([2, 3], [4, 0, 4, 1, 4, 2]), normal([6, 5]), normal([3, 5])],
    forTests.embed,
    reference.embed,
    [0],
  );
  for (const [name, shape, operator] of [
    ['toPatches', [2, 16, 3], reference.patchify],
    ['fromPatches', [2, 4, 12], reference.unpatchify],
  ]) {
    check(
      name,
      [normal(shape)],
      (tape, x) => forTests[name](tape, x, 2),
      (x) => operator(x, 2),
    );
  }
});

describe('attention of the tape', () => {
  const [batch, tokens, length, heads] = [2, 6, 4, 2];
  const parameterNames = ['query', 'key', 'value', 'output', 'bias'];
  const parametersOf = (queryDim, contextDim) => [
    normal([queryDim, queryDim], 0.5),
    normal([queryDim, contextDim], 0.5),
    normal([queryDim, contextDim], 0.5),
    normal([queryDim, queryDim], 0.5),
    normal([queryDim]),
  ];

  /** `mask(row, token, key)` is added to the scores. */
  const inFloat64 =
    (mask) =>
    (input, context, ...parameters) => {
      const [, contextTokens, contextDim] = context.shape;
      const queryDim = input.shape[2];
      const output = attention({
        batch,
        tokens: input.shape[1],
        length: contextTokens,
        queryDim,
        contextDim,
        numHeads: heads,
        scale: Math.sqrt(heads / queryDim),
        input: input.values,
        context: context.values,
        contextBatch: batch,
        parameters: Object.fromEntries(parameterNames.map((name, index) => [name, parameters[index].values])),
        mask: (row, _, token, key) => mask(row, token, key),
      });
      return { shape: input.shape, values: output };
    };
  const onGpu =
    (mask, isSelfAttention) =>
    (tape, input, ...others) => {
      const [context, ...parameters] = isSelfAttention ? [null, ...others] : others;
      const named = Object.fromEntries(parameterNames.map((name, index) => [name, parameters[index]]));
      const gpuMask = mask && {
        shape: mask.shape,
        buffer: bench.put(tape, mask, mask.shape.length === 2).binding.buffer,
      };
      return forTests.attend(tape, input, context, gpuMask, named, heads);
    };
  /** Self-attention: the context is the input. */
  const selfAttention =
    (operator) =>
    (input, ...parameters) =>
      operator(input, input, ...parameters);

  // Unlike `check`, this uses parameters once: attention overwrites their gradients instead of accumulating
  // them.
  const checkAttention = (name, inputs, onDevice, exact) =>
    test(name, async () => {
      const expected = exact(...inputs);
      const outputGradient = normalArray(expected.values.length, ++seed, { dtype: 'float32' });
      const { output, gradients } = await bench.differentiate(onDevice, inputs, outputGradient);
      assertNear(output, expected.values, 'output');
      inputs.forEach((_, index) =>
        assertNear(
          gradients[index],
          centralDifferences(exact, inputs, index, outputGradient),
          `gradient of input ${index}`,
        ),
      );
    });

  const ones = tensorOf([batch, length], [1, 1, 1, 0, 1, 0, 0, 0]);
  const cross = [normal([batch, tokens, 8]), normal([batch, length, 12]), ...parametersOf(8, 12)];
  checkAttention(
    'cross-attention with padding words',
    cross,
    onGpu(ones, false),
    inFloat64((row, _, key) => (ones.values[row * length + key] === 1 ? 0 : -Infinity)),
  );
  const self = [normal([batch, tokens, 8]), ...parametersOf(8, 8)];
  checkAttention('self-attention', self, onGpu(null, true), selfAttention(inFloat64(() => 0)));
  const causal = tensorOf(
    [1, 1, tokens, tokens],
    Array.from({ length: tokens ** 2 }, (_, index) =>
      index % tokens > Math.floor(index / tokens) ? -Infinity : 0,
    ),
  );
  checkAttention(
    'causal self-attention',
    self,
    onGpu(causal, true),
    selfAttention(inFloat64((_, token, key) => (key > token ? -Infinity : 0))),
  );
  test('accumulates gradients of other operators', async () => {
    const outputGradient = normalArray(batch * tokens * 8, ++seed, { dtype: 'float32' });
    const { gradients } = await bench.differentiate(
      (tape, input, context, ...parameters) => {
        // Backward runs in reverse order, so the input has a gradient before the attention's backward.
        const output = onGpu(ones, false)(tape, input, context, ...parameters);
        return forTests.sum(tape, output, input);
      },
      cross,
      outputGradient,
    );
    const expected = centralDifferences(
      (...inputs) =>
        reference.add(
          inFloat64((row, _, key) => (ones.values[row * length + key] === 1 ? 0 : -Infinity))(...inputs),
          inputs[0],
        ),
      cross,
      0,
      outputGradient,
    );
    assertNear(gradients[0], expected, 'gradient of the input');
  });
});

describe('a loss', () => {
  test('of pictures is the weighted mean of squared differences, with its gradient', async () => {
    const [estimate, picture, weights] = [normal([3, 25, 3]), normal([3, 25, 3]), normal([3])];
    const size = estimate.values.length;
    const row = size / 3;
    const loss = ({ values }) => ({
      values: [
        values.reduce(
          (sum, value, index) =>
            sum + weights.values[Math.floor(index / row)] * (value - picture.values[index]) ** 2,
          0,
        ) / size,
      ],
    });
    const [gradient, total] = await bench.submit(
      (tape) => {
        const [value, ...others] = [estimate, picture, weights].map((tensor) => bench.put(tape, tensor));
        const target = tape.input('loss', [4]).binding;
        forTests.learnPicture(tape, value, ...others, target);
        return { value, target };
      },
      ({ value, target }, read) => Promise.all([read(value.gradient, size), read(target, 1)]),
    );
    assertNear(total, loss(estimate).values, 'loss');
    const expected = centralDifferences(loss, [estimate], 0, [1]);
    assertClose(gradient, expected, relativeTolerance * maximumMagnitude(expected), 'gradient');
  });

  test('of positions adds gradients to the first features of tokens with known positions', async () => {
    const [tokens, positions] = [normal([2, 3, 7]), normal([2, 3, 4])];
    const unknown = [1, 2, 3, 9];
    for (const index of unknown) positions.values[index] = forTests.unknown;
    const outputGradient = normalArray(tokens.values.length, ++seed, { dtype: 'float32' });
    const zeros = tensorOf([2, 3, 7], new Array(42).fill(0));
    const { gradients } = await bench.differentiate(
      (tape, value) => {
        const output = forTests.sum(tape, value, bench.put(tape, zeros));
        forTests.learnPlaces(tape, output, bench.put(tape, positions), 0.25);
        return output;
      },
      [tokens],
      outputGradient,
    );
    const expected = outputGradient.map((gradient, index) => {
      const feature = index % 7;
      const position = Math.floor(index / 7) * 4 + feature;
      if (feature >= 4 || unknown.includes(position)) return gradient;
      const difference = tokens.values[index] - positions.values[position];
      return gradient + ((2 * 0.25) / positions.values.length) * difference;
    });
    assertNear(gradients[0], expected, 'gradient of the tokens');
  });

  test('recordTotal sums many numbers and their squares', async () => {
    const numbers = normal([40_000]);
    const [sum, squares] = await bench.submit(
      (tape) => {
        const { binding } = bench.put(tape, numbers);
        return [false, true].map((ofSquares) => {
          const total = tape.input('total', [4]).binding;
          forTests.recordTotal(tape, binding, numbers.values.length, total, ofSquares);
          return total;
        });
      },
      (totals, read) => Promise.all(totals.map((total) => read(total, 1))),
    );
    const sumOf = (term) => numbers.values.reduce((total, value) => total + term(value), 0);
    const expectedSum = sumOf((value) => value);
    const expectedSquares = sumOf((value) => value ** 2);
    // Fewer than 24 roundings: 3 terms per invocation and 6 rounds of two terms per workgroup, twice.
    assertClose(sum, [expectedSum], 24 * 2 ** -24 * sumOf(Math.abs), 'sum');
    assertClose(squares, [expectedSquares], 24 * 2 ** -24 * expectedSquares, 'sum of squares');
  });
});
