// saveWeights: safetensors files that an independent reader accepts, with correct rounding.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { ArgumentError, memoryInUse } from '../support/package.mjs';
import { parseSafetensors } from '../support/safetensors.mjs';
import { makeLayer, names, shapes } from '../support/small_layer.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

/** The maximum relative error of rounding to nearest. */
const roundings = { F64: 0, F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 };

describe('saveWeights', () => {
  for (const dtype of ['float32', 'float64']) {
    for (const stored of ['F32', 'F64', 'F16', 'BF16']) {
      test(`${stored} of a ${dtype} layer is a safetensors file of the parameters, rounded to nearest`, () =>
        scoped((own) => {
          const layer = makeLayer(own, { dtype });
          const file = layer.saveWeights({ dtype: stored });
          assert.ok(file instanceof Uint8Array);
          const { tensors, metadata, headerBytes } = parseSafetensors(file);
          assert.deepEqual([...tensors.keys()], names);
          // Readers of PyTorch files require this entry.
          assert.deepEqual(metadata, { format: 'pt' });
          assert.equal(headerBytes % 8, 0, 'expected aligned data');
          names.forEach((name, index) => {
            const { dtype: type, shape, values } = tensors.get(name);
            assert.equal(type, stored);
            assert.deepEqual(shape, shapes[index]);
            own(layer.getParameter(name))
              .data()
              .forEach((value, at) => {
                const error = Math.abs(values[at] - value);
                // 2^-25: half a unit of F16's subnormal numbers.
                const allowed = Math.max(
                  roundings[stored] * Math.abs(value),
                  stored === 'F16' ? 2 ** -25 : 0,
                );
                assert.ok(error <= allowed, `${name}[${at}] is ${values[at]}; expected ${value}`);
              });
          });
        }));
    }

    const defaultType = dtype === 'float32' ? 'F32' : 'F64';
    test(`the default for ${dtype} is ${defaultType}, and the file loads bit for bit`, () =>
      scoped((own) => {
        const layer = makeLayer(own, { dtype });
        const file = layer.saveWeights();
        const { tensors } = parseSafetensors(file);
        assert.equal(tensors.get('to_q.weight').dtype, defaultType);
        const other = makeLayer(own, { dtype, seed: 2 });
        assert.notDeepEqual(other.getParameters(), layer.getParameters());
        other.loadWeights(file);
        assertSameBits(other.getParameters(), layer.getParameters(), 'parameters');
        assert.deepEqual(other.saveWeights(), file);
      }));
  }

  test('preserves special numbers: infinities, NaN, -0, the largest and the smallest', () =>
    scoped((own) => {
      const layer = makeLayer(own, { dtype: 'float64' });
      // 65519.99 is below the midpoint between F16's largest number and the next step, 65520 is not.
      const special = [Infinity, -Infinity, NaN, -0, 65519.99, 65520];
      const parameters = layer.getParameters();
      parameters.set(special, parameters.length - 6);
      layer.setParameters(parameters);
      const biasOf = (dtype) => [
        ...parseSafetensors(layer.saveWeights({ dtype })).tensors.get(names[4]).values,
      ];
      assert.deepEqual(biasOf('F64'), special);
      assert.deepEqual(biasOf('F32'), special.map(Math.fround));
      assert.deepEqual(biasOf('F16'), [Infinity, -Infinity, NaN, -0, 65504, Infinity]);
      assert.deepEqual(biasOf('BF16'), [Infinity, -Infinity, NaN, -0, 65536, 65536]);
    }));

  test('rounds ties to even, also if a double would be rounded twice', () =>
    scoped((own) => {
      const layer = makeLayer(own, { dtype: 'float64' });
      const tie = 1 + 2 ** -11;
      const values = [tie, tie + 2 ** -40, tie - 2 ** -40, 1 + 3 * 2 ** -11, 2 ** -25, 2 ** -25 + 2 ** -60];
      const parameters = layer.getParameters();
      parameters.set(values, parameters.length - 6);
      layer.setParameters(parameters);
      const { values: halves } = parseSafetensors(layer.saveWeights({ dtype: 'F16' })).tensors.get(names[4]);
      assert.deepEqual([...halves], [1, 1 + 2 ** -10, 1, 1 + 2 ** -9, 0, 2 ** -24]);
    }));

  test('adds any prefix to all names', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      for (const prefix of ['', 'down_blocks.0.attn2.', 'a "b" \\ \n é 注意 🎨 ']) {
        const file = layer.saveWeights({ prefix });
        assert.deepEqual(
          [...parseSafetensors(file).tensors.keys()],
          names.map((name) => prefix + name),
        );
        const other = makeLayer(own, { seed: 2 });
        other.loadWeights(file, { prefix });
        assertSameBits(other.getParameters(), layer.getParameters(), 'parameters');
      }
    }));

  test('the file is a copy that later changes of the layer do not affect', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const file = layer.saveWeights();
      const before = file.slice();
      layer.updateParameters(0);
      layer.setParameters(new Float32Array(layer.parameterCount));
      assert.deepEqual(file, before);
    }));

  test('invalid options are an ArgumentError', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      for (const dtype of ['F8', 'f32', 'float32', '', 32, null, {}]) {
        assertThrows(() => layer.saveWeights({ dtype }), ArgumentError, 'dtype');
      }
      for (const prefix of [5, null, {}]) {
        assertThrows(() => layer.saveWeights({ prefix }), ArgumentError, 'prefix', 'a string');
      }
      assertThrows(() => layer.saveWeights('F32'), ArgumentError, 'options');
    }));
});
