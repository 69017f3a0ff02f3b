// Tests of values as JavaScript programs have them: arrays of other realms and kinds, shared, resizable and
// detached buffers, booleans, bigints, bits of half-precision numbers.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { scoped } from '../support/cases.mjs';
import { assertThrows } from '../support/errors.mjs';
import {
  ArgumentError,
  compile,
  DiffusionCrossAttention,
  memoryInUse,
  OutOfMemoryError,
  ShapeError,
  Tensor,
} from '../support/package.mjs';
import { fromOnnx } from 'diffusion-cross-attention/onnx';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const values = (data, shape, dtype) =>
  scoped((own) => {
    const tensor = own(Tensor.from(data, shape, dtype));
    return { values: [...tensor.data()], dtype: tensor.dtype, isBoolean: tensor.isBoolean };
  });
const assertValues = (data, expected, dtype = undefined, stored = 'float32') => {
  const found = values(data, [expected.length], dtype);
  assert.deepEqual(found.values, expected);
  assert.equal(found.dtype, stored);
  return found;
};
const elsewhere = (code) => runInNewContext(code);

describe('typed arrays', () => {
  test('of another realm', () => {
    assertValues(elsewhere('new Float32Array([1, 2.5])'), [1, 2.5]);
    assertValues(elsewhere('new Float64Array([1, 2.5])'), [1, 2.5], undefined, 'float64');
    assertValues(elsewhere('Uint8Array.of(3, 4)'), [3, 4]);
    assertValues(elsewhere('[3, 4]'), [3, 4]);
  });
  test('of shared and resizable memory', () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([7, 8]);
    assertValues(shared, [7, 8]);
    const resizable = new ArrayBuffer(8, { maxByteLength: 16 });
    const view = new Float32Array(resizable);
    resizable.resize(12);
    assertValues(view, [0, 0, 0]);
    const fixed = new Float32Array(resizable, 0, 3);
    resizable.resize(4);
    assertThrows(() => Tensor.from(fixed, [3]), ArgumentError, 'data has a detached or shrunk buffer');
    assertThrows(() => Tensor.from(fixed, [0]), ArgumentError, 'data has a detached or shrunk buffer');
  });
  test('with a detached buffer', () => {
    const detached = new Float32Array(2);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    assertThrows(() => Tensor.from(detached, [2]), ArgumentError, 'data has a detached or shrunk buffer');
    assertThrows(() => Tensor.from(detached, [0]), ArgumentError, 'data has a detached or shrunk buffer');
  });
  test('of subclasses whose members are not what they seem', () => {
    class Odd extends Float32Array {
      get length() {
        return 1e9;
      }
      get byteLength() {
        throw new Error('odd');
      }
      [Symbol.iterator]() {
        throw new Error('odd');
      }
    }
    assertValues(Odd.from([1, 2]), [1, 2]);
  });
  test(
    'Float16Array, if there is one',
    { skip: typeof Float16Array === 'function' ? false : 'not in this Node' },
    () => {
      assertValues(Float16Array.of(1.5, -2, Infinity), [1.5, -2, Infinity]);
      assertValues(Float16Array.of(1.5, -2), [1.5, -2], 'float16');
    },
  );
  test('buffers are refused with a hint', () => {
    for (const buffer of [
      new ArrayBuffer(8),
      new SharedArrayBuffer(8),
      new DataView(new ArrayBuffer(8)),
      elsewhere('new ArrayBuffer(8)'),
    ]) {
      assertThrows(() => Tensor.from(buffer, [2]), ArgumentError, 'data is ', 'new Float32Array(buffer)');
    }
  });
});

describe('bits of half-precision numbers', () => {
  test('float16', () => {
    const bits = Uint16Array.of(0, 0x8000, 0x3c00, 0xc500, 0x7bff, 1, 0x83ff, 0x7c00, 0xfc00);
    const expected = [0, -0, 1, -5, 65504, 2 ** -24, -1023 * 2 ** -24, Infinity, -Infinity];
    assertValues(bits, expected, 'float16');
    assert.ok(Number.isNaN(values(Uint16Array.of(0x7e00), [1], 'float16').values[0]));
  });
  test('bfloat16', () => {
    assertValues(Uint16Array.of(0, 0x3f80, 0xc0a0, 0x7f80), [0, 1, -5, Infinity], 'bfloat16');
  });
  test('require a Uint16Array', () => {
    for (const data of [[1], Float32Array.of(1), Int16Array.of(1)]) {
      assertThrows(
        () => Tensor.from(data, [1], 'float16'),
        ArgumentError,
        'dtype is "float16"',
        'Uint16Array',
      );
    }
    assertThrows(() => Tensor.zeros([1], 'float16'), ArgumentError, 'dtype is "float16"');
  });
});

describe('booleans', () => {
  test('are ones and zeros, and stay boolean', () =>
    scoped((own) => {
      const mask = own(Tensor.from([true, false, true, true], [2, 2]));
      assert.deepEqual([...mask.data()], [1, 0, 1, 1]);
      assert.equal(mask.dtype, 'float32');
      for (const tensor of [mask, own(mask.reshape([4])), own(mask.clone())]) assert.ok(tensor.isBoolean);
      assert.equal(own(Tensor.from([1, 0], [2])).isBoolean, false);
      assert.equal(own(Tensor.zeros([2])).isBoolean, false);
    }));
  test('cannot be mixed with numbers', () => {
    assertThrows(() => Tensor.from([true, 1], [2]), ArgumentError, 'data[1] is 1; expected a boolean');
    assertThrows(() => Tensor.from([1, true], [2]), ArgumentError, 'data[1] is true; expected a number');
  });
});

describe('bigints', () => {
  test('that are exact', () => {
    assertValues(BigInt64Array.of(1n, 0n, -(2n ** 24n)), [1, 0, -(2 ** 24)]);
    assertValues([1n, 2n ** 60n], [1, 2 ** 60]);
    assertValues(BigUint64Array.of(2n ** 53n), [2 ** 53], 'float64', 'float64');
  });
  test('that are not', () => {
    assertThrows(
      () => Tensor.from([0n, 2n ** 24n + 1n], [2]),
      ArgumentError,
      'data[1] is 16777217n',
      'float32',
    );
    assertThrows(() => Tensor.from([2n ** 53n + 1n], [1], 'float64'), ArgumentError, 'float64');
    assertThrows(() => Tensor.from([10n ** 500n], [1]), ArgumentError, 'more than 256 bits');
    assertThrows(() => Tensor.from([1n, 2], [2]), ArgumentError, 'data[1] is 2; expected a bigint');
  });
});

describe('other arrays', () => {
  test('with holes, wrong elements and lengths', () => {
    // eslint-disable-next-line no-sparse-arrays
    assertThrows(() => Tensor.from([1, , 3], [3]), ArgumentError, 'data[1] is undefined');
    assertThrows(() => Tensor.from(['1'], [1]), ArgumentError, 'data[0] is "1"');
    assertThrows(() => Tensor.from([[1, 2]], [2]), ShapeError, 'data has 1 elements; expected 2');
    assertThrows(() => Tensor.from({ length: 2 ** 40 }, [2 ** 40]), OutOfMemoryError);
    assertThrows(() => Tensor.from({ length: 1.5 }, [1]), ArgumentError, 'data is Object');
  });
  test('are read once, before anything is allocated', () => {
    let reads = 0;
    const data = {
      get length() {
        reads++;
        return 2;
      },
      get 0() {
        reads++;
        return 1;
      },
      get 1() {
        throw new Error('no more');
      },
    };
    assertThrows(() => Tensor.from(data, [2]), ArgumentError, 'data cannot be read: no more');
    assert.equal(reads, 2);
  });
});

test('shapes may be typed arrays of another realm', () => {
  assert.deepEqual(values([1, 2], elsewhere('Int32Array.of(1, 2)')).values, [1, 2]);
  assert.deepEqual(values([1, 2], elsewhere('[2, 1]')).values, [1, 2]);
});

test('setParameters accepts what Tensor.from does', () =>
  scoped((own) => {
    const layer = own(new DiffusionCrossAttention(2, 2, 1));
    const count = layer.parameterCount;
    layer.setParameters(new BigInt64Array(count).fill(3n));
    assert.ok(layer.getParameters().every((value) => value === 3));
    layer.setParameters(elsewhere(`new Float64Array(${count}).fill(2)`));
    assert.ok(layer.getParameters().every((value) => value === 2));
    assertThrows(() => layer.setParameters([1]), ShapeError, `parameters has 1 elements; expected ${count}`);
  }));

test('files may be in buffers of another realm and in views of any type', () =>
  scoped((own) => {
    const layer = own(new DiffusionCrossAttention(4, 4, 1, 4, { seed: 1 }));
    const nodes = [];
    const output = layer.exportComputationGraph(nodes);
    assert.ok(output);
    const file = Uint8Array.from(layer.saveWeights());
    const foreign = elsewhere(
      '(bytes) => { const copy = new Uint8Array(bytes.length); copy.set(bytes); return copy; }',
    )(file);
    layer.loadWeights(foreign);
    assertThrows(() => fromOnnx('file'), ArgumentError, 'file is "file"');
  }));

test('compile accepts a Map of another realm, and null for no constants', async () => {
  const layer = new DiffusionCrossAttention(4, 4, 1, 4, { seed: 1 });
  const context = Tensor.randn([1, 3, 4], { seed: 2 });
  try {
    const inputs = [];
    const output = layer.exportComputationGraph(inputs);
    const constants = elsewhere('(key, value) => new Map([[key, value]])')(inputs[1], context);
    const inputShapes = elsewhere('() => [[1, 2, 4], [1, 3, 4]]')();
    for (const given of [constants, null]) {
      const compiled = await compile(output, inputs, { inputShapes, constants: given });
      compiled.dispose();
    }
  } finally {
    context.dispose();
    layer.dispose();
  }
});
