// The operators that the denoiser is trained with by WebGPU, each against a loop in float64 and its central differences.
// Tolerance: sums here have at most 288 terms, each of two roundings and with numbers around 1, so that rounding takes at most
// some 2^-24 · 2 · √288 of the largest magnitude where errors are random, and 8 times that is allowed; exp is good to 4 ULP.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { normalArray } from '../../support/random.mjs';
import { forward as attention } from '../support/reference.mjs';
import * as reference from '../support/reference_operators.mjs';
import { assertNoUncapturedErrors, counts } from '../support/webgpu.mjs';
import { tapeBench } from '../support/webgpu_tape.mjs';
import { forTests } from '../../dist/denoiser_webgpu.js';

const { centralDifferences } = reference;
const bench = await tapeBench();
after(() => {
  bench.dispose();
  assertNoUncapturedErrors();
  assert.equal(counts.alive, 0, 'buffers are alive');
});

const relativeTolerance = 8 * 2 * Math.sqrt(288) * 2 ** -24;
const assertAlike = (actual, expected, what) =>
  assertClose(actual, expected, relativeTolerance * Math.max(1, maximumMagnitude(expected)), what);

let seed = 0;
/** Numbers of float32, as the card has them. */
const normal = (shape, deviation = 1) => {
  const size = shape.reduce((product, each) => product * each, 1);
  const values = Float64Array.from(normalArray(size, ++seed, { dtype: 'float32', deviation }));
  return { shape, values };
};
const whole = (shape, values) => ({ shape, values: Float64Array.from(values) });

/**
 * An operator on the card against the reference: output, all gradients, and the gradients once more where the operator is used
 * twice, so that each is added to what is there.
 */
function check(name, inputs, onCard, inFloat64, wholeInputs = []) {
  test(name, async () => {
    const expected = inFloat64(...inputs);
    const slopes = normalArray(expected.values.length, ++seed, { dtype: 'float32' });
    const gradients = inputs.map((_, number) =>
      wholeInputs.includes(number) ? null : centralDifferences(inFloat64, inputs, number, slopes),
    );
    const once = await bench.differentiate(onCard, inputs, slopes, wholeInputs);
    assertAlike(once.output, expected.values, 'output');
    const twice = await bench.differentiate(
      (tape, ...values) => forTests.sum(tape, onCard(tape, ...values), onCard(tape, ...values)),
      inputs,
      slopes,
      wholeInputs,
    );
    gradients.forEach((gradient, number) => {
      if (gradient === null) return;
      assertAlike(once.gradients[number], gradient, `gradient of input ${number}`);
      const doubled = gradient.map((each) => 2 * each);
      assertAlike(twice.gradients[number], doubled, `gradient of input ${number}, used twice`);
    });
  });
}

describe('an operator of the tape', () => {
  check('a + b', [normal([2, 3, 5]), normal([2, 3, 5])], forTests.sum, reference.sum);
  check(
    'x + what batch rows share',
    [normal([2, 3, 4]), normal([3, 4])],
    forTests.sumShared,
    reference.sumShared,
  );
  check(
    'x + what the first parts of batch rows share',
    [normal([3, 4, 5]), normal([2, 5])],
    forTests.sumShared,
    reference.sumShared,
  );
  for (const [batch, tokens, inFeatures, outFeatures] of [
    [3, 1, 8, 4],
    [1, 40, 3, 5],
    // Batch rows of so many tokens are summed up by themselves.
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
    'convolution, batch rows by themselves',
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
  // More features than invocations take a row, and a last workgroup that is not full.
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
    [whole([2, 3], [4, 0, 4, 1, 4, 2]), normal([6, 5]), normal([3, 5])],
    forTests.embed,
    reference.embed,
    [0],
  );
  for (const name of ['toPatches', 'fromPatches']) {
    const shape = name === 'toPatches' ? [2, 16, 3] : [2, 4, 12];
    check(
      name,
      [normal(shape)],
      (tape, x) => forTests[name](tape, x, 2),
      (x) => reference[name](x, 2),
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

  /** `mask(row, token, key)`: added to scores. */
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
        parameters: Object.fromEntries(parameterNames.map((name, at) => [name, parameters[at].values])),
        mask: (row, _, token, key) => mask(row, token, key),
      });
      return { shape: input.shape, values: output };
    };
  const onCard =
    (mask, isSelfAttention) =>
    (tape, input, ...others) => {
      const [context, ...parameters] = isSelfAttention ? [null, ...others] : others;
      const named = Object.fromEntries(parameterNames.map((name, at) => [name, parameters[at]]));
      const maskOnCard = mask && {
        shape: mask.shape,
        buffer: bench.put(tape, mask, mask.shape.length === 2).binding.buffer,
      };
      return forTests.attend(tape, input, context, maskOnCard, named, heads);
    };
  /** Self-attention: its context is its input. */
  const ofItself =
    (operator) =>
    (input, ...parameters) =>
      operator(input, input, ...parameters);

  // Parameters' gradients are written, not added to: each is used once in a step, so that `check` does not go here.
  const checkAttention = (name, inputs, card, exact) =>
    test(name, async () => {
      const expected = exact(...inputs);
      const slopes = normalArray(expected.values.length, ++seed, { dtype: 'float32' });
      const found = await bench.differentiate(card, inputs, slopes);
      assertAlike(found.output, expected.values, 'output');
      inputs.forEach((_, number) =>
        assertAlike(
          found.gradients[number],
          centralDifferences(exact, inputs, number, slopes),
          `gradient of input ${number}`,
        ),
      );
    });

  const ones = whole([batch, length], [1, 1, 1, 0, 1, 0, 0, 0]);
  const cross = [normal([batch, tokens, 8]), normal([batch, length, 12]), ...parametersOf(8, 12)];
  checkAttention(
    'of words, some of them filling',
    cross,
    onCard(ones, false),
    inFloat64((row, _, key) => (ones.values[row * length + key] === 1 ? 0 : -Infinity)),
  );
  const self = [normal([batch, tokens, 8]), ...parametersOf(8, 8)];
  checkAttention('of the picture', self, onCard(null, true), ofItself(inFloat64(() => 0)));
  const causal = whole(
    [1, 1, tokens, tokens],
    Array.from({ length: tokens ** 2 }, (_, at) => (at % tokens > Math.floor(at / tokens) ? -Infinity : 0)),
  );
  checkAttention(
    'of words to those before them',
    self,
    onCard(causal, true),
    ofItself(inFloat64((_, token, key) => (key > token ? -Infinity : 0))),
  );
  test('adds to gradients that others have made', async () => {
    const slopes = normalArray(batch * tokens * 8, ++seed, { dtype: 'float32' });
    const { gradients } = await bench.differentiate(
      (tape, input, context, ...parameters) => {
        // Backward comes to what is recorded last first: the layer finds a gradient there.
        const output = onCard(ones, false)(tape, input, context, ...parameters);
        return forTests.sum(tape, output, input);
      },
      cross,
      slopes,
    );
    const expected = centralDifferences(
      (...inputs) =>
        reference.sum(
          inFloat64((row, _, key) => (ones.values[row * length + key] === 1 ? 0 : -Infinity))(...inputs),
          inputs[0],
        ),
      cross,
      0,
      slopes,
    );
    assertAlike(gradients[0], expected, 'gradient of the input');
  });
});

describe('a loss', () => {
  test('of pictures is the weighted mean of squares, with its gradient', async () => {
    const [estimate, picture, weights] = [normal([3, 25, 3]), normal([3, 25, 3]), normal([3])];
    const size = estimate.values.length;
    const row = size / 3;
    const loss = ({ values }) => ({
      values: [
        values.reduce(
          (sum, value, at) => sum + weights.values[Math.floor(at / row)] * (value - picture.values[at]) ** 2,
          0,
        ) / size,
      ],
    });
    const [gradient, total] = await bench.submit(
      (tape) => {
        const [value, ...others] = [estimate, picture, weights].map((each) => bench.put(tape, each));
        const target = tape.input('loss', [4]).binding;
        forTests.learnPicture(tape, value, ...others, target);
        return { value, target };
      },
      ({ value, target }, read) => Promise.all([read(value.gradient, size), read(target, 1)]),
    );
    assertAlike(total, loss(estimate).values, 'loss');
    const expected = centralDifferences(loss, [estimate], 0, [1]);
    assertClose(gradient, expected, relativeTolerance * maximumMagnitude(expected), 'gradient');
  });

  test('of places is added where something is to be known, to the first features', async () => {
    const [tokens, places] = [normal([2, 3, 7]), normal([2, 3, 4])];
    const unknown = [1, 2, 3, 9];
    for (const at of unknown) places.values[at] = forTests.unknown;
    const slopes = normalArray(tokens.values.length, ++seed, { dtype: 'float32' });
    const zeros = whole([2, 3, 7], new Array(42).fill(0));
    const { gradients } = await bench.differentiate(
      (tape, value) => {
        const output = forTests.sum(tape, value, bench.put(tape, zeros));
        forTests.learnPlaces(tape, output, bench.put(tape, places), 0.25);
        return output;
      },
      [tokens],
      slopes,
    );
    const expected = slopes.map((slope, at) => {
      const place = Math.floor(at / 7) * 4 + (at % 7);
      if (at % 7 >= 4 || unknown.includes(place)) return slope;
      return slope + ((2 * 0.25) / places.values.length) * (tokens.values[at] - places.values[place]);
    });
    assertAlike(gradients[0], expected, 'gradient of the tokens');
  });

  test('total of many numbers and of their squares', async () => {
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
      (totals, read) => Promise.all(totals.map((each) => read(each, 1))),
    );
    const magnitudes = numbers.values.reduce((all, value) => all + Math.abs(value), 0);
    const total = numbers.values.reduce((all, value) => all + value, 0);
    const ofSquares = numbers.values.reduce((all, value) => all + value ** 2, 0);
    // Of an invocation 3 terms, of a workgroup 6 rounds of two, and the same again: fewer than 24 roundings.
    assertClose(sum, [total], 24 * 2 ** -24 * magnitudes, 'sum');
    assertClose(squares, [ofSquares], 24 * 2 ** -24 * ofSquares, 'sum of squares');
  });
});
