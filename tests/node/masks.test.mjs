// Tests of masks: key masks, additive masks, and rows in which all keys are ignored.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { additiveMask, keyMask, normalTensor, withCase } from '../support/cases.mjs';
import { assertFinite, assertSameBits, assertWithin } from '../support/compare.mjs';
import { forwardBound } from '../support/error_bounds.mjs';
import { assertThrows } from '../support/errors.mjs';
import { ArgumentError, memoryInUse, ShapeError, Tensor } from '../support/package.mjs';
import { forward } from '../support/reference.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const size = { batch: 3, height: 3, width: 5, queryDim: 16, contextDim: 9, numHeads: 4, length: 21 };

function compareWithReference(description) {
  withCase(description, ({ layer, input, context, options, problem, toTokens }, own) => {
    const output = own(layer.forwardWithContext(input, context, options));
    assertWithin(
      toTokens(output.data()),
      forward(problem),
      forwardBound(problem, description.dtype),
      'output',
    );
  });
}

for (const dtype of ['float32', 'float64']) {
  describe(`agrees with the reference, ${dtype}`, () => {
    for (const maskDType of ['float32', 'float64']) {
      for (const rows of [3, 1]) {
        test(`key mask of ${rows} rows in ${maskDType}`, () =>
          compareWithReference({ ...size, dtype, maskDType, mask: keyMask(rows, 21, 5) }));
      }
    }
    test('key mask that ignores all keys of a row, context with batch size 1', () =>
      compareWithReference({ ...size, dtype, contextBatch: 1, mask: keyMask(3, 21, 5, { ignored: [1] }) }));
    test('key mask in self-attention', () =>
      compareWithReference({ ...size, dtype, contextDim: 16, length: null, mask: keyMask(3, 15, 6) }));
    for (const batch of [3, 1]) {
      for (const heads of [4, 1]) {
        for (const tokens of [15, 1]) {
          test(`additive mask [${batch}, ${heads}, ${tokens}, 21]`, () =>
            compareWithReference({ ...size, dtype, mask: additiveMask([batch, heads, tokens, 21], 7) }));
        }
      }
    }
    test('additive mask that ignores almost all keys', () =>
      compareWithReference({
        ...size,
        dtype,
        mask: additiveMask([3, 4, 15, 21], 8, { ignoreProbability: 0.97 }),
      }));
    test('additive mask in self-attention', () =>
      compareWithReference({
        ...size,
        dtype,
        contextDim: 16,
        length: null,
        mask: additiveMask([1, 4, 15, 15], 9),
      }));
  });
}

describe('rows in which all keys are ignored', () => {
  const run = (mask, extra = {}) =>
    withCase({ ...size, ...extra, mask, layout: 'tokens' }, ({ layer, input, context, options }, own) => {
      layer.training = true;
      const output = own(layer.forwardWithContext(input, context, options)).data();
      const bias = own(layer.getParameter('to_out.0.bias')).data();
      const outputGradient = own(normalTensor(input.shape, 4, { dtype: layer.dtype }));
      const inputGradient = own(layer.backward(outputGradient)).data();
      assertFinite(layer.getParameterGradients(), 'parameter gradients');
      assertFinite(layer.contextGradient.data(), 'context gradient');
      const maps = own(layer.attentionMaps(input, context, options)).data();
      return { output, bias, inputGradient, contextGradient: layer.contextGradient.data(), maps };
    });

  for (const [name, mask, ignored] of [
    ['key mask', keyMask(3, 21, 5, { ignored: [1], probability: 1 }), 1],
    ['key mask, the last row', keyMask(3, 21, 5, { ignored: [2] }), 2],
    [
      'additive mask of -Infinity',
      {
        kind: 'additive',
        shape: [3, 1, 1, 21],
        values: Array.from({ length: 63 }, (_, i) => (i < 21 ? -Infinity : 0)),
      },
      0,
    ],
  ]) {
    test(`${name}: attention is zero, the output is the bias, and gradients are zero`, () => {
      const { output, bias, inputGradient, contextGradient, maps } = run(mask);
      const part = (values, row) =>
        values.subarray((row * values.length) / 3, ((row + 1) * values.length) / 3);
      const biases = Float32Array.from({ length: 15 * 16 }, (_, i) => bias[i % 16]);
      assertSameBits(part(output, ignored), biases, 'output');
      for (const values of [inputGradient, contextGradient, maps]) {
        assert.ok(part(values, ignored).every((value) => value === 0));
        assert.ok(part(values, (ignored + 1) % 3).some((value) => value !== 0));
      }
    });
  }

  test('all rows', () => {
    const { output, bias, inputGradient } = run(keyMask(1, 21, 5, { ignored: [0] }));
    assert.ok(output.every((value, index) => value === bias[index % 16]));
    assert.ok(inputGradient.every((value) => value === 0));
  });
});

describe('equivalent masks', () => {
  test('a key mask of ones, an additive mask of zeros, null and undefined equal no mask', () =>
    withCase(size, ({ layer, input, context }, own) => {
      const plain = own(layer.forwardWithContext(input, context)).data();
      const masks = [null, undefined, own(Tensor.full([3, 21], 1)), own(Tensor.full([1, 21], 1))];
      masks.push(own(Tensor.zeros([1, 1, 1, 21])));
      for (const mask of masks) {
        assertSameBits(own(layer.forwardWithContext(input, context, { mask })).data(), plain, 'output');
      }
      for (const none of [null, undefined, {}]) {
        assertSameBits(own(layer.forwardWithContext(input, context, none)).data(), plain, 'options');
      }
    }));

  test('masking keys equals removing them from the context', () =>
    withCase({ ...size, batch: 1, dtype: 'float64' }, ({ layer, input, context }, own) => {
      const visible = [0, 3, 4, 20];
      const bits = Array.from({ length: 21 }, (_, l) => (visible.includes(l) ? 1 : 0));
      const rows = context.data();
      const visibleRows = Float64Array.from(
        { length: 4 * 9 },
        (_, i) => rows[visible[Math.floor(i / 9)] * 9 + (i % 9)],
      );
      const shortened = own(Tensor.from(visibleRows, [1, 4, 9]));
      const masked = own(layer.forwardWithContext(input, context, { mask: own(Tensor.from(bits, [1, 21])) }));
      const short = own(layer.forwardWithContext(input, shortened));
      assertSameBits(masked.data(), short.data(), 'output');
    }));

  test('writing to a mask changes the next result', () =>
    withCase(size, ({ layer, input, context }, own) => {
      const run = (mask) => own(layer.forwardWithContext(input, context, { mask })).data();
      const mask = own(Tensor.full([3, 21], 1));
      const first = run(mask);
      mask.view()[4] = 0;
      const second = run(mask);
      assert.notDeepEqual(second, first);
      mask.view()[4] = 1;
      assertSameBits(run(mask), first, 'the first mask again');
      assertSameBits(run(null), first, 'no mask');
    }));
});

describe('invalid masks', () => {
  const assertInvalid = (mask, errorClass, ...parts) =>
    withCase(size, ({ layer, input, context }, own) => {
      const tensor = own(mask());
      for (const call of [
        () => layer.forwardWithContext(input, context, { mask: tensor }),
        () => layer.attentionMaps(input, context, { mask: tensor }),
      ]) {
        assertThrows(call, errorClass, 'mask', ...parts);
      }
    });

  for (const shape of [
    [21],
    [2, 1, 21],
    [3, 14, 21],
    [2, 21],
    [3, 20],
    [3, 22],
    [0, 21],
    [],
    [1, 1, 1, 1, 21],
  ]) {
    test(`shape [${shape}] throws ShapeError`, () =>
      assertInvalid(() => Tensor.full(shape, 1), ShapeError, `[${shape.join(', ')}]`));
  }
  for (const shape of [
    [2, 4, 15, 21],
    [3, 2, 15, 21],
    [3, 4, 14, 21],
    [3, 4, 15, 1],
    [1, 1, 1, 20],
  ]) {
    test(`additive shape [${shape}] throws ShapeError`, () =>
      assertInvalid(() => Tensor.zeros(shape), ShapeError, `[${shape.join(', ')}]`, '15', '21'));
  }
  for (const value of [NaN, 0.5, -1, 2, Infinity]) {
    test(`a key mask with value ${value} throws ArgumentError`, () =>
      assertInvalid(() => Tensor.full([3, 21], value), ArgumentError, '0', '1'));
  }
  test('an additive mask whose dtype differs from the layer throws ArgumentError', () =>
    assertInvalid(() => Tensor.zeros([1, 1, 1, 21], 'float64'), ArgumentError, 'dtype'));

  test('a mask that is not a Tensor throws ArgumentError', () =>
    withCase(size, ({ layer, input, context }) => {
      for (const mask of [5, 'mask', [1, 0], new Float32Array(63), {}, true, 0, '']) {
        assertThrows(
          () => layer.forwardWithContext(input, context, { mask }),
          ArgumentError,
          'mask',
          'a Tensor',
        );
      }
    }));
});
