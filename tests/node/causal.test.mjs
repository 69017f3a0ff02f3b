// Tests of causal attention: the same as a boolean matrix, in forward, backward, maps, asynchronous calls and
// recorded calls.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { additiveMask, keyMask, normalTensor, withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { ArgumentError, AttentionRecorder, memoryInUse, Tensor } from '../support/package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const size = { batch: 2, layout: 'tokens', height: 6, width: 6, queryDim: 24, contextDim: 10, numHeads: 3 };
const epsilon = { float32: 2 ** -23, float64: 2 ** -52 };

/** Returns the mask of a call as a matrix [B, heads, N, L] that is -Infinity above the diagonal, too. */
function matrixOf({ problem, layer }, mask) {
  const { batch, numHeads, tokens, length } = problem;
  const values = [];
  for (let row = 0; row < batch; ++row) {
    for (let head = 0; head < numHeads; ++head) {
      for (let token = 0; token < tokens; ++token) {
        for (let key = 0; key < length; ++key) {
          const given = mask === null ? 0 : problem.mask(row, head, token, key);
          values.push(key <= token + length - tokens ? given : -Infinity);
        }
      }
    }
  }
  return Tensor.from(values, [batch, numHeads, tokens, length], layer.dtype);
}

function assertNear(actual, expected, what) {
  const [values, other] = [actual.data(), expected.data()];
  assertClose(values, other, 200 * epsilon[actual.dtype] * (1 + maximumMagnitude(other)), what);
}

describe('equals a matrix of 0 and -Infinity', () => {
  const cases = {
    'self-attention': { contextDim: 24, length: null },
    'more keys than tokens': { length: 50 },
    'fewer keys than tokens: the first tokens attend to nothing': { length: 20 },
    'one key': { length: 1 },
    image: { layout: 'image', length: 40 },
    'key mask': { length: 40, mask: keyMask(2, 40, 3, { ignored: [1] }) },
    'additive mask': { length: 40, mask: additiveMask([1, 3, 36, 40], 4) },
    'small blocks': { length: 40, layerOptions: { blockSizeQ: 8, blockSizeKV: 6 } },
    'several tiles of keys': { length: 300 },
  };
  for (const dtype of ['float32', 'float64']) {
    for (const [name, extra] of Object.entries(cases)) {
      test(`${name}, ${dtype}`, () =>
        withCase({ ...size, dtype, ...extra }, async (made, own) => {
          const { layer, input, context, options } = made;
          const causal = { ...options, causal: true };
          const matrix = { mask: own(matrixOf(made, extra.mask ?? null)) };
          const gradient = own(normalTensor(input.shape, 5, { dtype }));
          layer.training = true;
          const results = [causal, matrix].map((call) => {
            layer.clearGradients();
            const output = own(layer.forwardWithContext(input, context, call));
            const inputGradient = own(layer.backward(gradient));
            const parameters = layer.getParameterGradients();
            const ofContext = layer.contextGradient && own(layer.contextGradient.clone());
            return { output, inputGradient, ofContext, parameters };
          });
          const [actual, expected] = results;
          assertNear(actual.output, expected.output, 'output');
          assertNear(actual.inputGradient, expected.inputGradient, 'gradient of the input');
          if (context !== null) assertNear(actual.ofContext, expected.ofContext, 'gradient of the context');
          const scale = 1 + maximumMagnitude(expected.parameters);
          assertClose(actual.parameters, expected.parameters, 200 * epsilon[dtype] * scale, 'parameters');
          const output = own(await layer.forwardAsync(input, context, causal));
          assertSameBits(output.data(), actual.output.data(), 'forwardAsync');
          const maps = [causal, matrix].map((call) =>
            own(layer.attentionMaps(input, context, { ...call, heads: 'all' })),
          );
          assertNear(...maps, 'maps');
        }));
    }
  }
});

test('later keys change nothing, whatever their values', () =>
  withCase({ ...size, batch: 1, contextDim: 24, length: null }, ({ layer, input }, own) => {
    const output = own(layer.forwardWithContext(input, null, { causal: true })).data();
    const changed = own(input.clone());
    changed.view().fill(1e3, 20 * 24);
    const other = own(layer.forwardWithContext(changed, null, { causal: true })).data();
    assertSameBits(other.slice(0, 20 * 24), output.slice(0, 20 * 24), 'the first 20 tokens');
    assert.notDeepEqual(other, output);
  }));

test('recorded calls', () =>
  withCase({ ...size, length: 40 }, (made, own) => {
    const { layer, input, context } = made;
    const mask = own(matrixOf(made, null));
    const maps = [{ causal: true }, { mask }].map((call) => {
      const recorder = own(new AttentionRecorder({ size: 6, groups: { some: [0, 17, 39] } }));
      own(layer.forwardWithContext(input, context, { ...call, record: { recorder } }));
      return recorder.heatMap('some');
    });
    assertClose(maps[0], maps[1], 1e-6, 'heat maps');
  }));

test('causal: false and undefined are the same as no option', () =>
  withCase({ ...size, length: 20 }, ({ layer, input, context }, own) => {
    const output = own(layer.forwardWithContext(input, context)).data();
    for (const causal of [false, undefined]) {
      assertSameBits(own(layer.forwardWithContext(input, context, { causal })).data(), output, `${causal}`);
    }
  }));

test('throws ArgumentError if causal is neither true nor false', () =>
  withCase({ ...size, length: 20 }, async ({ layer, input, context }) => {
    for (const causal of [1, 'true', {}]) {
      const expected = [ArgumentError, 'options.causal', 'true or false'];
      assertThrows(() => layer.forwardWithContext(input, context, { causal }), ...expected);
      assertThrows(() => layer.attentionMaps(input, context, { causal }), ...expected);
      await assertRejects(() => layer.forwardAsync(input, context, { causal }), ...expected);
    }
  }));
