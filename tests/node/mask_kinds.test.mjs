// Tests of masks of rank 3 and of boolean masks, and of context rows that a mask hides, which may have any
// values.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertFinite, assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import {
  ArgumentError,
  compile,
  DiffusionCrossAttention,
  memoryInUse,
  ShapeError,
  Tensor,
} from '../support/package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const [batch, heads, tokens, keys, queryDim, contextDim] = [2, 2, 6, 5, 8, 7];
/** Few tokens do not fold the context into the weights; many do. */
const tokenCounts = { plain: tokens, folded: 400 };

/** Which keys a token attends to: an irregular pattern in which key 3 is hidden from all. */
const attends = (row, head, token, key) => key !== 3 && (row + head + token + 2 * key) % 4 !== 0;

/** Elements of [rows, headRows, tokenRows, keys]; sizes of 1 are index 0. */
function elements([rows, headRows, tokenRows], value) {
  const all = [];
  for (let row = 0; row < rows; ++row) {
    for (let head = 0; head < headRows; ++head) {
      for (let token = 0; token < tokenRows; ++token) {
        for (let key = 0; key < keys; ++key) all.push(value(attends(row, head, token, key)));
      }
    }
  }
  return all;
}

const additive = (isAttended) => (isAttended ? 0 : -Infinity);

function objects(own, dtype, count = tokens) {
  const layer = own(new DiffusionCrossAttention(queryDim, contextDim, heads, 4, { seed: 1, dtype }));
  const input = own(Tensor.randn([batch, count, queryDim], { seed: 2, dtype }));
  const context = own(Tensor.randn([batch, keys, contextDim], { seed: 3, dtype }));
  return { layer, input, context };
}

const dtypes = ['float32', 'float64'];

describe('masks of rank 3 and boolean masks equal additive masks', () => {
  for (const dtype of dtypes) {
    for (const rows of [batch, 1]) {
      for (const tokenRows of [tokens, 1]) {
        const sizes = [rows, 1, tokenRows];
        test(`[${rows}, ${tokenRows}, ${keys}], ${dtype}`, () =>
          scoped((own) => {
            const { layer, input, context } = objects(own, dtype);
            const numbers = elements(sizes, additive);
            const booleans = elements(sizes, Boolean);
            const masks = [
              Tensor.from(numbers, [...sizes, keys], dtype),
              Tensor.from(numbers, [rows, tokenRows, keys], dtype),
              Tensor.from(booleans, [rows, tokenRows, keys]),
              Tensor.from(booleans, [...sizes, keys]),
            ].map(own);
            const run = (mask) => own(layer.forwardWithContext(input, context, { mask })).data();
            const maps = (mask) => own(layer.attentionMaps(input, context, { mask })).data();
            const [expected, expectedMaps] = [run(masks[0]), maps(masks[0])];
            for (const mask of masks.slice(1)) {
              const [output, probabilities] = [run(mask), maps(mask)];
              for (let index = 0; index < output.length; ++index) {
                assert.ok(Math.abs(output[index] - expected[index]) < 1e-6);
              }
              for (let index = 0; index < probabilities.length; ++index) {
                assert.ok(Math.abs(probabilities[index] - expectedMaps[index]) < 1e-6);
              }
            }
          }));
      }
    }
  }
  test('of all heads, and backward', () =>
    scoped((own) => {
      const { layer, input, context } = objects(own, 'float64');
      layer.training = true;
      const gradient = own(Tensor.randn(input.shape, { seed: 4, dtype: 'float64' }));
      const sizes = [batch, heads, tokens];
      const run = (mask) => {
        layer.clearGradients();
        const output = own(layer.forwardWithContext(input, context, { mask })).data();
        const inputGradient = own(layer.backward(gradient)).data();
        return [output, inputGradient, layer.contextGradient.data(), layer.getParameterGradients()];
      };
      const expected = run(own(Tensor.from(elements(sizes, additive), [...sizes, keys], 'float64')));
      const found = run(own(Tensor.from(elements(sizes, Boolean), [...sizes, keys])));
      expected.forEach((values, index) => assertSameBits(found[index], values, `result ${index}`));
    }));
  test('a boolean mask [L] is a key mask of all rows', () =>
    scoped((own) => {
      const { layer, input, context } = objects(own, 'float32');
      const booleans = [true, false, true, true, false];
      const run = (mask) => own(layer.forwardWithContext(input, context, { mask })).data();
      const expected = run(own(Tensor.from([1, 0, 1, 1, 0], [1, keys])));
      assertSameBits(run(own(Tensor.from(booleans, [keys]))), expected, '[L]');
      assertSameBits(run(own(Tensor.from(booleans, [1, 1, keys]))), expected, '[1, 1, L]');
      assertSameBits(run(own(Tensor.from([1n, 0n, 1n, 1n, 0n], [1, keys]))), expected, 'bigints');
    }));
  test('a row that attends to nothing gives zeros', () =>
    scoped((own) => {
      const { layer, input, context } = objects(own, 'float32');
      const bias = layer.getParameters().slice(-queryDim);
      const mask = own(
        Tensor.from(
          elements([1, 1, tokens], Boolean).map((value, index) => index >= keys && value),
          [1, tokens, keys],
        ),
      );
      const output = own(layer.forwardWithContext(input, context, { mask })).data();
      assertSameBits(output.slice(0, queryDim), bias, 'the first token');
    }));
  test('wrong values and shapes', () =>
    scoped((own) => {
      const { layer, input, context } = objects(own, 'float32');
      const mask = own(Tensor.from(elements([1, 1, tokens], Boolean), [1, tokens, keys]));
      mask.view()[2] = 2;
      assertThrows(
        () => layer.forwardWithContext(input, context, { mask }),
        ArgumentError,
        'mask contains 2',
      );
      const wrong = own(Tensor.from(elements([1, 1, 3], Boolean), [1, 3, keys]));
      assertThrows(() => layer.forwardWithContext(input, context, { mask: wrong }), ShapeError, '[1, 3, 5]');
    }));
});

describe('hidden context rows may have any values', () => {
  const poison = [NaN, Infinity, -Infinity];

  function poisoned(own, context, rows) {
    const copy = own(context.clone());
    const view = copy.view();
    for (const row of rows) {
      for (let channel = 0; channel < contextDim; ++channel) {
        view[row * contextDim + channel] = poison[channel % 3];
      }
    }
    return copy;
  }

  /** Masks that hide key 3 from all, by name. */
  const kinds = {
    keys: (own, dtype) => own(Tensor.from(elements([1, 1, 1], Number), [1, keys], dtype)),
    boolean: (own, dtype, count) =>
      own(Tensor.from(elements([batch, 1, count], Boolean), [batch, count, keys])),
    'additive of one row': (own, dtype) =>
      own(Tensor.from(elements([1, 1, 1], additive), [1, 1, 1, keys], dtype)),
    'additive of all': (own, dtype, count) =>
      own(Tensor.from(elements([batch, heads, count], additive), [batch, heads, count, keys], dtype)),
  };
  const hiddenRows = [3, keys + 3];

  for (const [form, count] of Object.entries(tokenCounts)) {
    for (const dtype of dtypes) {
      for (const [kind, make] of Object.entries(kinds)) {
        test(`${kind}, ${form}, ${dtype}`, async () => {
          await scoped(async (own) => {
            const { layer, input, context } = objects(own, dtype, count);
            const mask = make(own, dtype, count);
            const hidden = poisoned(own, context, hiddenRows);
            const maps = (given) => own(layer.attentionMaps(input, given, { mask })).data();
            assertSameBits(maps(hidden), maps(context), 'maps');
            const forward = (given) => own(layer.forwardWithContext(input, given, { mask })).data();
            assertSameBits(forward(hidden), forward(context), 'output');
            // The cached context has rows that are not finite, and the next mask hides them.
            own(layer.forwardWithContext(input, hidden));
            assertSameBits(forward(hidden), forward(context), 'output after a call without a mask');
            const async = own(await layer.forwardAsync(input, hidden, { mask })).data();
            assertSameBits(async, forward(context), 'output of forwardAsync');
            layer.training = true;
            const gradient = own(Tensor.randn(input.shape, { seed: 4, dtype }));
            const backward = (given) => {
              layer.clearGradients();
              own(layer.forwardWithContext(input, given, { mask }));
              const inputGradient = own(layer.backward(gradient)).data();
              return [inputGradient, layer.contextGradient.data(), layer.getParameterGradients()];
            };
            const expected = backward(context);
            backward(hidden).forEach((values, index) => {
              assertFinite(values, `gradient ${index}`);
              assertSameBits(values, expected[index], `gradient ${index}`);
            });
          });
        });
        for (const varying of ['mask', 'context and mask', 'context', 'nothing']) {
          test(`${kind}, ${form}, ${dtype}, compiled, varying: ${varying}`, async () => {
            await scoped(async (own) => {
              const { layer, input, context } = objects(own, dtype, count);
              const mask = make(own, dtype, count);
              const nodes = [];
              const output = layer.exportComputationGraph(nodes, { mask: true });
              const run = async (given) => {
                const constants = new Map();
                if (!varying.includes('context')) constants.set(nodes[1], given);
                if (!varying.includes('mask')) constants.set(nodes[2], mask);
                const inputShapes = [input.shape, given.shape, mask.shape];
                const association = form;
                const compiled = own(await compile(output, nodes, { inputShapes, constants, association }));
                const inputs = [input, given, mask].filter((_, index) => !constants.has(nodes[index]));
                const result = own(compiled.run(...inputs)).data();
                assertSameBits(own(await compiled.runAsync(...inputs)).data(), result, 'runAsync');
                return result;
              };
              const expected = await run(context);
              assertSameBits(await run(poisoned(own, context, hiddenRows)), expected, 'output');
            });
          });
        }
      }
    }
  }
  test('rows that some token attends to are not hidden', () =>
    scoped((own) => {
      const { layer, input, context } = objects(own, 'float32');
      const mask = kinds['additive of all'](own, 'float32', tokens);
      const output = own(layer.forwardWithContext(input, poisoned(own, context, [1]), { mask })).data();
      assert.ok(output.some(Number.isNaN));
    }));
  test('a boolean mask of float32 fits a graph of float64', async () => {
    await scoped(async (own) => {
      const { layer, input, context } = objects(own, 'float64');
      const nodes = [];
      const output = layer.exportComputationGraph(nodes, { mask: true });
      const mask = own(Tensor.from([true, false, true, true, false], [1, keys]));
      const inputShapes = [input.shape, context.shape, mask.shape];
      const compiled = own(await compile(output, nodes, { inputShapes }));
      const result = own(compiled.run(input, context, mask)).data();
      const expected = own(layer.forwardWithContext(input, context, { mask })).data();
      result.forEach((value, index) => assert.ok(Math.abs(value - expected[index]) < 1e-12));
    });
  });
});
