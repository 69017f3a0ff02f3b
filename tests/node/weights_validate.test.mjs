// validateWeights: compares a set of weights with the parameters without loading it.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertThrows } from '../support/errors.mjs';
import { ArgumentError, memoryInUse, Tensor } from '../support/package.mjs';
import { makeLayer, names, shapes } from '../support/small_layer.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

describe('validateWeights', () => {
  const validate = (work) => scoped((own) => work(makeLayer(own), own));

  test('all names: complete and valid', () =>
    validate((layer) => {
      for (const source of [names, new Set(names), names.values()]) {
        const result = layer.validateWeights(source);
        assert.deepEqual(result.matched, names);
        assert.deepEqual(result.unmatchedWeights, []);
        assert.deepEqual(result.missingParameters, []);
        assert.deepEqual(result.shapeMismatches, []);
        assert.deepEqual([result.isComplete, result.isValid], [true, true]);
      }
    }));

  test('reports missing parameters and unmatched weights', () =>
    validate((layer) => {
      const result = layer.validateWeights(['to_q.weight', 'norm.weight', 'to_out.0.bias']);
      assert.deepEqual(result.matched, ['to_q.weight', 'to_out.0.bias']);
      assert.deepEqual(result.unmatchedWeights, ['norm.weight']);
      assert.deepEqual(result.missingParameters, ['to_k.weight', 'to_v.weight', 'to_out.0.weight']);
      assert.deepEqual([result.isComplete, result.isValid], [false, true]);
    }));

  test('uses the mapping; `matched` contains names of parameters', () =>
    validate((layer) => {
      const mapping = (name) => (name === 'skip' ? null : name.replace('attn.', ''));
      const result = layer.validateWeights([...names.map((name) => `attn.${name}`), 'skip'], mapping);
      assert.deepEqual(result.matched, names);
      assert.deepEqual(result.unmatchedWeights, ['skip']);
      assert.equal(result.isComplete, true);
    }));

  test('tensors: compares shapes as well', () =>
    validate((layer, own) => {
      const entries = names.map((name, index) => [name, own(Tensor.zeros(shapes[index]))]);
      for (const source of [new Map(entries), Object.fromEntries(entries)]) {
        assert.equal(layer.validateWeights(source).isValid, true);
      }
      entries[1][1] = own(Tensor.zeros([4, 6]));
      const result = layer.validateWeights(new Map(entries));
      assert.deepEqual(result.shapeMismatches, [{ name: 'to_k.weight', expected: [6, 4], actual: [4, 6] }]);
      assert.deepEqual([result.isComplete, result.isValid], [true, false]);
    }));

  test('a value that is not a list of names is an ArgumentError', () =>
    validate((layer) => {
      for (const wrong of [null, undefined, 5, 'to_q.weight']) {
        assertThrows(() => layer.validateWeights(wrong), ArgumentError, 'names');
      }
      assertThrows(() => layer.validateWeights([5]), ArgumentError, 'names', 'a string');
      assertThrows(() => layer.validateWeights(names, 'mapping'), ArgumentError, 'mapping');
      assertThrows(() => layer.validateWeights(names, () => 5), ArgumentError, 'mapping', 'a string or null');
    }));
});
