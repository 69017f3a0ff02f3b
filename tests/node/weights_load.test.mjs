// loadWeights: safetensors files and named tensors, mappings, counts, and errors that change nothing.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { ArgumentError, DisposedError, memoryInUse, Tensor, WeightsError } from '../support/package.mjs';
import { parseSafetensors, writeSafetensors } from '../support/safetensors.mjs';
import { fileTensors, makeLayer, names, shapes } from '../support/small_layer.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

describe('loadWeights from a file', () => {
  for (const dtype of ['float32', 'float64']) {
    for (const stored of ['F32', 'F64', 'F16', 'BF16']) {
      test(`${stored} into a ${dtype} layer`, () =>
        scoped((own) => {
          // Bit patterns of subnormal and normal numbers of both signs for the 16-bit types.
          const patterns = [0x0001, 0x83ff, 0x0400, 0x3c01, 0xbbff, 0x3555];
          const numbers = [1e-3, -2.5, 1 / 3, 1e-40, -1e20, 7];
          const tensors = fileTensors();
          const is16Bits = stored === 'F16' || stored === 'BF16';
          tensors['to_out.0.bias'] = { dtype: stored, shape: [6], values: is16Bits ? patterns : numbers };
          const file = writeSafetensors(tensors);
          const expected = parseSafetensors(file).tensors.get('to_out.0.bias').values;
          const layer = makeLayer(own, { dtype });
          layer.loadWeights(file);
          const bias = own(layer.getParameter('to_out.0.bias')).data();
          assertSameBits(bias, dtype === 'float32' ? Float32Array.from(expected) : expected, 'bias');
          assert.equal(own(layer.getParameter('to_q.weight')).data()[0], 1);
        }));
    }
  }

  test('reports the loaded parameters, from a Uint8Array, an ArrayBuffer and a Buffer', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const file = layer.saveWeights();
      const padded = new Uint8Array(file.length + 5);
      padded.set(file, 3);
      const sources = [file, file.slice().buffer, Buffer.from(file), padded.subarray(3, 3 + file.length)];
      for (const source of sources) {
        assert.deepEqual(layer.loadWeights(source), {
          success: true,
          loadedCount: 5,
          skippedCount: 0,
          failedCount: 0,
          loadedParameters: names,
          failedParameters: [],
        });
      }
    }));

  test('accepts metadata, any order, other tensors of other dtypes, and empty tensors', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const shuffled = Object.fromEntries(Object.entries(fileTensors()).reverse());
      shuffled.steps = { dtype: 'I64', shape: [], values: [7] };
      shuffled.nothing = { dtype: 'F32', shape: [0, 5], values: [] };
      const file = writeSafetensors(shuffled, { format: 'pt', comment: 'ünïcode "quoted"' });
      const result = layer.loadWeights(file, { strict: false });
      assert.equal(result.loadedCount, 5);
      assert.equal(result.skippedCount, 2);
      assert.equal(own(layer.getParameter('to_out.0.bias')).data()[0], 5);
    }));

  test('a prefix selects the names that start with it', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const file = writeSafetensors({
        ...fileTensors({}, 'mid.attn2.'),
        ...fileTensors({}, 'up.attn2.'),
        'conv.weight': { dtype: 'F32', shape: [1], values: [1] },
      });
      const { loadedCount, skippedCount, loadedParameters } = layer.loadWeights(file, {
        prefix: 'up.attn2.',
      });
      assert.deepEqual([loadedCount, skippedCount, loadedParameters], [5, 6, names]);
      assertThrows(
        () => layer.loadWeights(file, { prefix: 'none.' }),
        WeightsError,
        'missing',
        'to_q.weight',
      );
    }));

  test('a mapping maps names to parameters; null skips a tensor', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const original = Object.fromEntries(
        Object.entries(fileTensors()).map(([name, tensor]) => [`x.${name.toUpperCase()}`, tensor]),
      );
      original['x.NORM'] = { dtype: 'F32', shape: [1], values: [1] };
      const seen = [];
      const mapping = (name) => {
        seen.push(name);
        return name === 'NORM' ? null : name.toLowerCase();
      };
      const result = layer.loadWeights(writeSafetensors(original), { prefix: 'x.', mapping });
      assert.deepEqual([result.loadedCount, result.skippedCount], [5, 1]);
      assert.deepEqual(seen.sort(), [...names.map((name) => name.toUpperCase()), 'NORM'].sort());
      assert.equal(own(layer.getParameter('to_v.weight')).data()[0], 3);
    }));

  test('strict: missing and unexpected names are a WeightsError that names them and changes nothing', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const before = layer.getParameters();
      const incomplete = fileTensors();
      delete incomplete['to_k.weight'];
      const extra = fileTensors({ unexpected: { dtype: 'F32', shape: [1], values: [1] } });
      for (const strict of [undefined, true]) {
        const load = (tensors) => () => layer.loadWeights(writeSafetensors(tensors), { strict });
        assertThrows(load(incomplete), WeightsError, 'missing', 'to_k.weight');
        assertThrows(load(extra), WeightsError, 'unexpected');
      }
      assertSameBits(layer.getParameters(), before, 'parameters');
    }));

  test('not strict: matching tensors are loaded, the others are counted', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const before = own(layer.getParameter('to_k.weight')).data();
      const tensors = fileTensors();
      delete tensors['to_k.weight'];
      tensors.unexpected = { dtype: 'F32', shape: [1], values: [1] };
      const result = layer.loadWeights(writeSafetensors(tensors), { strict: false });
      assert.equal(result.success, true);
      assert.equal(result.loadedCount + result.skippedCount, 5);
      assert.deepEqual(
        result.loadedParameters,
        names.filter((name) => name !== 'to_k.weight'),
      );
      assertSameBits(own(layer.getParameter('to_k.weight')).data(), before, 'to_k.weight');
      const none = layer.loadWeights(writeSafetensors({}), { strict: false });
      assert.deepEqual([none.loadedCount, none.skippedCount], [0, 0]);
    }));

  test('a wrong shape is a WeightsError with both shapes, strict or not, and changes nothing', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const before = layer.getParameters();
      const wrong = fileTensors({
        'to_k.weight': { dtype: 'F32', shape: [4, 6], values: new Array(24).fill(9) },
      });
      for (const strict of [true, false]) {
        const load = () => layer.loadWeights(writeSafetensors(wrong), { strict });
        assertThrows(load, WeightsError, 'to_k.weight', '[4, 6]', '[6, 4]');
      }
      assertSameBits(layer.getParameters(), before, 'parameters');
    }));

  test('an unsupported type is a WeightsError and changes nothing', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const before = layer.getParameters();
      const wrong = fileTensors({
        'to_out.0.bias': { dtype: 'I64', shape: [6], values: [1, 2, 3, 4, 5, 6] },
      });
      assertThrows(
        () => layer.loadWeights(writeSafetensors(wrong)),
        WeightsError,
        'to_out.0.bias',
        'I64',
        'F32',
      );
      assertSameBits(layer.getParameters(), before, 'parameters');
    }));

  test('two names for one parameter are a WeightsError that names both', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const mapping = (name) => (name === 'to_k.weight' ? 'to_v.weight' : name);
      const load = () => layer.loadWeights(writeSafetensors(fileTensors()), { mapping, strict: false });
      assertThrows(load, WeightsError, 'to_k.weight', 'to_v.weight');
    }));
});

describe('loadWeights from tensors', () => {
  const tensorsOf = (own, dtype) =>
    names.map((name, index) => [name, own(normalTensor(shapes[index], index, { dtype }))]);

  for (const dtype of ['float32', 'float64']) {
    for (const source of ['Map', 'object', 'object without a prototype']) {
      test(`${source} of ${dtype}`, () =>
        scoped((own) => {
          const entries = tensorsOf(own, dtype);
          const object = Object.assign(
            source === 'object' ? {} : Object.create(null),
            Object.fromEntries(entries),
          );
          const layer = makeLayer(own);
          const result = layer.loadWeights(source === 'Map' ? new Map(entries) : object);
          assert.deepEqual(result.loadedParameters, names);
          const expected = entries.flatMap(([, tensor]) => [...tensor.data()]);
          assertSameBits(layer.getParameters(), Float32Array.from(expected), 'parameters');
        }));
    }
  }

  test('prefix, mapping and strict work as for files', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const entries = tensorsOf(own, 'float32').map(([name, tensor]) => [`p.${name}`, tensor]);
      const extra = own(Tensor.zeros([1]));
      const weights = new Map([...entries, ['other', extra], ['p.other', extra]]);
      assertThrows(() => layer.loadWeights(weights, { prefix: 'p.' }), WeightsError, 'unexpected');
      const result = layer.loadWeights(weights, { prefix: 'p.', strict: false });
      assert.deepEqual([result.loadedCount, result.skippedCount], [5, 2]);
      const mapping = (name) => (name === 'other' ? null : name);
      assert.equal(layer.loadWeights(weights, { prefix: 'p.', mapping }).loadedCount, 5);
    }));

  test('other values and disposed tensors are errors that name them and change nothing', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const before = layer.getParameters();
      const entries = tensorsOf(own, 'float32');
      for (const wrong of [null, undefined, 5, new Float32Array(6), {}]) {
        const load = () => layer.loadWeights(new Map([...entries, ['to_out.0.bias', wrong]]));
        assertThrows(load, ArgumentError, 'to_out.0.bias', 'a Tensor');
      }
      const disposed = Tensor.zeros([6]);
      disposed.dispose();
      const load = () => layer.loadWeights({ ...Object.fromEntries(entries), 'to_out.0.bias': disposed });
      assertThrows(load, DisposedError, 'to_out.0.bias');
      assertSameBits(layer.getParameters(), before, 'parameters');
    }));
});

describe('invalid arguments', () => {
  test('change nothing', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const before = layer.getParameters();
      const file = layer.saveWeights();
      for (const weights of [
        null,
        undefined,
        5,
        'file',
        [],
        [1],
        [file, 'file'],
        [[file]],
        new Blob([file]),
      ]) {
        assertThrows(() => layer.loadWeights(weights), ArgumentError, 'weights');
      }
      const detached = file.slice();
      structuredClone(detached.buffer, { transfer: [detached.buffer] });
      for (const weights of [detached, detached.buffer, [file, detached]]) {
        assertThrows(() => layer.loadWeights(weights), ArgumentError, 'detached');
      }
      for (const [name, values] of Object.entries({
        prefix: [5, null, {}],
        mapping: [5, 'name', {}],
        strict: [1, 'no', null],
      })) {
        for (const value of values) {
          assertThrows(() => layer.loadWeights(file, { [name]: value }), ArgumentError, name);
        }
      }
      for (const returned of [undefined, 5, {}]) {
        const load = () => layer.loadWeights(file, { mapping: () => returned });
        assertThrows(load, ArgumentError, 'mapping', 'a string or null');
      }
      assertThrows(() => layer.loadWeights(file, 'strict'), ArgumentError, 'options');
      assertSameBits(layer.getParameters(), before, 'parameters');
    }));

  test('an error of the mapping is rethrown', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const error = new RangeError('error of the mapping');
      const mapping = () => {
        throw error;
      };
      assert.throws(() => layer.loadWeights(layer.saveWeights(), { mapping }), error);
      assert.throws(() => layer.validateWeights(names, mapping), error);
    }));

  test('a mapping that disposes the layer causes a DisposedError', () => {
    const layer = makeLayer((object) => object);
    const file = layer.saveWeights();
    const mapping = (name) => {
      layer.dispose();
      return name;
    };
    assertThrows(() => layer.loadWeights(file, { mapping }), DisposedError);
  });
});
