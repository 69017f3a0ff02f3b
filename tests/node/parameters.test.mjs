// Arguments of the constructor, initial weights, and parameters by name and as a flat array.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { initialWeights } from '../support/initial_weights.mjs';
import {
  ArgumentError,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  OutOfMemoryError,
  ShapeError,
  Tensor,
} from '../support/package.mjs';
import { makeLayer, names, shapes } from '../support/small_layer.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const withLayer = (work, options = {}) => scoped((own) => work(makeLayer(own, options), own));

describe('initial weights', () => {
  for (const seed of [0, 1, 42, Number.MAX_SAFE_INTEGER]) {
    test(`seed ${seed}: Xavier-uniform numbers by the generator's definition, in both dtypes`, () =>
      scoped((own) => {
        const expected = initialWeights(12, 20, seed);
        const make = (dtype) => own(new DiffusionCrossAttention(12, 20, 4, 8, { seed, dtype }));
        assertSameBits(make('float64').getParameters(), expected, 'float64');
        assertSameBits(make('float32').getParameters(), Float32Array.from(expected), 'float32');
      }));
  }

  test('without a seed: differ between layers', () =>
    scoped((own) => {
      const [first, second] = [0, 0].map(() => own(new DiffusionCrossAttention(6, 4, 2)).getParameters());
      assert.notDeepEqual(first, second);
    }));

  test('fill the Xavier interval', () =>
    scoped((own) => {
      const layer = own(new DiffusionCrossAttention(64, 32, 8, 8, { seed: 5, dtype: 'float64' }));
      for (const name of names.slice(0, 4)) {
        const weight = own(layer.getParameter(name));
        const bound = Math.sqrt(6 / (weight.shape[0] + weight.shape[1]));
        const largest = maximumMagnitude(weight.data());
        assert.ok(largest <= bound && largest > 0.99 * bound, `${name}: ${largest} of ${bound}`);
      }
    }));
});

describe('the constructor', () => {
  const wrongDimensions = [0, -1, 1.5, NaN, Infinity, '8', null, undefined, {}, 2 ** 31, 8n, true];
  for (const [index, name] of ['queryDim', 'contextDim', 'numHeads', 'spatialSize'].entries()) {
    test(`an invalid ${name} is an ArgumentError`, () => {
      for (const wrong of wrongDimensions) {
        // Omitted arguments have defaults.
        if (wrong === undefined && index >= 2) continue;
        const values = [8, 8, 2, 8];
        values[index] = wrong;
        assertThrows(() => new DiffusionCrossAttention(...values), ArgumentError, name, 'integer', '1');
      }
    });
  }

  test('a numHeads that does not divide queryDim is an ArgumentError that names both', () => {
    assertThrows(() => new DiffusionCrossAttention(10, 8, 3), ArgumentError, 'numHeads', '3', '10');
    assertThrows(() => new DiffusionCrossAttention(4, 8, 8), ArgumentError, 'numHeads', '8', '4');
    assertThrows(() => new DiffusionCrossAttention(12, 8), ArgumentError, 'numHeads', '8', '12');
  });

  const wrongOptions = [
    ['dtype', ['float16', 'double', 1, null]],
    ['seed', [NaN, -1, 1.5, '1', 2 ** 53, null]],
    ['scale', [NaN, Infinity, '1', {}, null]],
    ['blockSizeQ', [-1, 1.5, NaN, '8', null]],
    ['blockSizeKV', [-1, 1.5, NaN, '8', null]],
  ];
  for (const [name, values] of wrongOptions) {
    test(`an invalid ${name} is an ArgumentError`, () => {
      for (const value of values) {
        assertThrows(() => new DiffusionCrossAttention(8, 8, 2, 8, { [name]: value }), ArgumentError, name);
      }
    });
  }

  test('options that are not an object are an ArgumentError; undefined and null mean no options', () =>
    scoped((own) => {
      assertThrows(() => new DiffusionCrossAttention(8, 8, 2, 8, 'float32'), ArgumentError, 'options');
      for (const none of [undefined, null]) {
        assert.equal(own(new DiffusionCrossAttention(8, 8, 2, 8, none)).dtype, 'float32');
      }
    }));

  test('a layer that is too large is an OutOfMemoryError', () =>
    void assertThrows(
      () => new DiffusionCrossAttention(32768, 32768, 8, 64, { dtype: 'float64' }),
      OutOfMemoryError,
    ));

  test('requires new', () => assert.throws(() => DiffusionCrossAttention(8, 8), TypeError));
});

describe('names and shapes', () => {
  test('match diffusers', () =>
    withLayer((layer) => {
      assert.deepEqual(layer.getParameterNames(), names);
      assert.equal(layer.namedParameterCount, 5);
      assert.deepEqual(
        names.map((name) => layer.getParameterShape(name)),
        shapes,
      );
    }));

  test('are returned as copies', () =>
    withLayer((layer) => {
      layer.getParameterNames().length = 0;
      layer.getParameterShape('to_q.weight')[0] = 99;
      assert.deepEqual(layer.getParameterNames(), names);
      assert.deepEqual(layer.getParameterShape('to_q.weight'), [6, 6]);
    }));

  test('unknown names return undefined and false; values that are not strings are an ArgumentError', () =>
    withLayer((layer, own) => {
      const value = own(Tensor.zeros([6, 6]));
      const before = layer.getParameters();
      for (const name of [
        '',
        'to_q',
        'to_q.weight ',
        'TO_Q.WEIGHT',
        '__proto__',
        'constructor',
        'to_q.weight\0',
      ]) {
        assert.equal(layer.getParameterShape(name), undefined);
        assert.equal(layer.getParameter(name), undefined);
        assert.equal(layer.setParameter(name, value), false);
      }
      for (const wrong of [undefined, null, 0, {}, ['to_q.weight'], Symbol('to_q.weight')]) {
        assertThrows(() => layer.getParameterShape(wrong), ArgumentError, 'name', 'a string');
        assertThrows(() => layer.getParameter(wrong), ArgumentError, 'name', 'a string');
        assertThrows(() => layer.setParameter(wrong, value), ArgumentError, 'name', 'a string');
      }
      assertSameBits(layer.getParameters(), before, 'parameters');
    }));
});

for (const dtype of ['float32', 'float64']) {
  describe(`values, ${dtype}`, () => {
    test('the flat array concatenates the named parameters', () =>
      withLayer(
        (layer, own) => {
          const joined = names.flatMap((name) => {
            const parameter = own(layer.getParameter(name));
            assert.equal(parameter.dtype, dtype);
            return [...parameter.data()];
          });
          assertSameBits(layer.getParameters(), Float64Array.from(joined), 'parameters');
          assert.equal(layer.parameterCount, joined.length);
          assert.equal(layer.getParameters().BYTES_PER_ELEMENT, dtype === 'float32' ? 4 : 8);
        },
        { dtype },
      ));

    test('setParameter changes only its parameter', () =>
      withLayer(
        (layer, own) => {
          names.forEach((name, index) => {
            const before = new Map(names.map((other) => [other, own(layer.getParameter(other)).data()]));
            const value = own(normalTensor(shapes[index], index + 5, { dtype }));
            assert.equal(layer.setParameter(name, value), true);
            for (const other of names) {
              const expected = other === name ? value.data() : before.get(other);
              assertSameBits(own(layer.getParameter(other)).data(), expected, `${other} after ${name}`);
            }
          });
        },
        { dtype },
      ));

    test('getParameters and getParameter return copies, and setParameter copies', () =>
      withLayer(
        (layer, own) => {
          const before = layer.getParameters();
          layer.getParameters().fill(7);
          own(layer.getParameter('to_q.weight')).view().fill(7);
          assertSameBits(layer.getParameters(), before, 'parameters');
          const value = own(Tensor.full([6], 2, dtype));
          layer.setParameter('to_out.0.bias', value);
          value.view().fill(9);
          assert.deepEqual([...own(layer.getParameter('to_out.0.bias')).data()], [2, 2, 2, 2, 2, 2]);
        },
        { dtype },
      ));

    test('setParameters accepts typed arrays and arrays; restored values give the same output', () =>
      withLayer(
        (layer, own) => {
          const input = own(normalTensor([5, 6], 1, { dtype }));
          const context = own(normalTensor([3, 4], 2, { dtype }));
          const output = own(layer.forwardWithContext(input, context)).data();
          const parameters = layer.getParameters();
          for (const values of [parameters, [...parameters], Float64Array.from(parameters)]) {
            layer.setParameters(new Float64Array(parameters.length).fill(0.5));
            layer.setParameters(values);
            assertSameBits(layer.getParameters(), parameters, 'parameters');
            assertSameBits(own(layer.forwardWithContext(input, context)).data(), output, 'output');
          }
        },
        { dtype },
      ));
  });
}

describe('invalid values', () => {
  test('change nothing', () =>
    withLayer((layer, own) => {
      const before = layer.getParameters();
      const count = layer.parameterCount;
      assertThrows(() => layer.setParameters([]), ShapeError, 'parameters', '0', String(count));
      assertThrows(
        () => layer.setParameters(new Float32Array(count + 1)),
        ShapeError,
        'parameters',
        String(count),
      );
      for (const wrong of [null, undefined, 5, 'text', {}]) {
        assertThrows(() => layer.setParameters(wrong), ArgumentError, 'parameters');
      }
      const almost = [...before];
      almost[count - 1] = '1';
      assertThrows(() => layer.setParameters(almost), ArgumentError, `parameters[${count - 1}]`);

      const set = (value) => () => layer.setParameter('to_k.weight', value);
      assertThrows(set(own(Tensor.zeros([4, 6]))), ShapeError, 'to_k.weight', '[4, 6]', '[6, 4]');
      assertThrows(set(own(Tensor.zeros([24]))), ShapeError, 'to_k.weight', '[24]');
      assertThrows(set(own(Tensor.zeros([6, 4], 'float64'))), ArgumentError, 'value', 'float64', 'float32');
      for (const wrong of [null, undefined, new Float32Array(24), {}]) {
        assertThrows(set(wrong), ArgumentError, 'value', 'a Tensor');
      }
      const disposed = Tensor.zeros([6, 4]);
      disposed.dispose();
      assertThrows(set(disposed), DisposedError, 'value');
      assertSameBits(layer.getParameters(), before, 'parameters');
    }));
});
