// Tensors: creation, contents, disposal.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import {
  ArgumentError,
  DisposedError,
  memoryInUse,
  OutOfMemoryError,
  ShapeError,
  Tensor,
} from '../support/package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const bytesOf = { float32: 4, float64: 8 };

describe('Tensor.from', () => {
  test('the default dtype is that of a typed array, otherwise float32', () =>
    scoped((own) => {
      const cases = [
        [[1, 2], undefined, 'float32'],
        [Float32Array.of(1, 2), undefined, 'float32'],
        [Float64Array.of(1, 2), undefined, 'float64'],
        [Float64Array.of(1, 2), 'float32', 'float32'],
        [Float32Array.of(1, 2), 'float64', 'float64'],
        [Int32Array.of(1, 2), undefined, 'float32'],
        [Uint8Array.of(1, 2), 'float64', 'float64'],
        [{ length: 2, 0: 1, 1: 2 }, undefined, 'float32'],
      ];
      for (const [data, dtype, expected] of cases) {
        const tensor = own(Tensor.from(data, [2], dtype));
        assert.equal(tensor.dtype, expected);
        const values = tensor.data();
        assert.ok(values instanceof (expected === 'float32' ? Float32Array : Float64Array));
        assert.deepEqual([...values], [1, 2]);
      }
    }));

  test('copies the data', () =>
    scoped((own) => {
      const data = Float32Array.of(1, 2, 3);
      const tensor = own(Tensor.from(data, [3]));
      data.fill(9);
      assert.deepEqual([...tensor.data()], [1, 2, 3]);
    }));

  test('preserves all bits of its dtype, including NaN, infinities and -0', () =>
    scoped((own) => {
      const values = [0, -0, NaN, Infinity, -Infinity, 1 / 3, 5e-324, 1e-45, Number.MAX_VALUE];
      assertSameBits(own(Tensor.from(values, [9], 'float64')).data(), Float64Array.from(values), 'float64');
      assertSameBits(own(Tensor.from(values, [9])).data(), Float32Array.from(values), 'float32');
    }));

  test('a view of a buffer: copies only the view', () =>
    scoped((own) => {
      const all = Float64Array.of(0, 1, 2, 3);
      assert.deepEqual([...own(Tensor.from(all.subarray(1, 3), [2])).data()], [1, 2]);
    }));

  test("another tensor's view, which lies in the same memory", () =>
    scoped((own) => {
      const source = own(Tensor.from([1, 2, 3], [3]));
      assert.deepEqual([...own(Tensor.from(source.view(), [3])).data()], [1, 2, 3]);
    }));

  test('a wrong number of elements is a ShapeError that names both numbers', () => {
    assertThrows(() => Tensor.from([1, 2, 3], [2, 2]), ShapeError, 'data', '3', '[2, 2]', '4');
    assertThrows(() => Tensor.from([], [1]), ShapeError, 'data', '0', '1');
    assertThrows(() => Tensor.from([1], [0]), ShapeError, 'data', '1', '0');
  });

  test('elements that are not numbers are an ArgumentError that names the element', () => {
    assertThrows(() => Tensor.from(['1'], [1]), ArgumentError, 'data[0]', '"1"', 'a number');
    assertThrows(() => Tensor.from([1, null], [2]), ArgumentError, 'data[1]', 'null');
    assertThrows(() => Tensor.from([1, undefined], [2]), ArgumentError, 'data[1]', 'undefined');
    // eslint-disable-next-line no-sparse-arrays -- the test needs a hole
    assertThrows(() => Tensor.from([1, , 3], [3]), ArgumentError, 'data[1]', 'undefined');
    assertThrows(() => Tensor.from(new DataView(new ArrayBuffer(4)), [4]), ArgumentError, 'data', 'DataView');
    assertThrows(() => Tensor.from('12', [2]), ArgumentError, 'data', '"12"');
    assertThrows(() => Tensor.from(null, [1]), ArgumentError, 'data', 'null');
    assertThrows(() => Tensor.from(undefined, [1]), ArgumentError, 'data', 'undefined');
    assertThrows(() => Tensor.from(7, [1]), ArgumentError, 'data', '7');
    assertThrows(() => Tensor.from({}, [1]), ArgumentError, 'data', 'Object');
  });

  test('data of a transferred buffer are an ArgumentError', () => {
    const data = Float32Array.of(1, 2);
    structuredClone(data, { transfer: [data.buffer] });
    assertThrows(() => Tensor.from(data, [2]), ArgumentError, 'data', 'detached');
  });
});

describe('shapes', () => {
  const makers = {
    zeros: (shape) => Tensor.zeros(shape),
    full: (shape) => Tensor.full(shape, 1),
    randn: (shape) => Tensor.randn(shape),
    from: (shape) => Tensor.from([1], shape),
  };
  for (const [name, make] of Object.entries(makers)) {
    test(`${name}: a negative dimension is a ShapeError`, () => {
      assertThrows(() => make([2, -1]), ShapeError, 'shape', '[2, -1]', 'negative');
      assertThrows(() => make([-5]), ShapeError, 'shape', '-5');
    });
    test(`${name}: dimensions that are not integers are an ArgumentError`, () => {
      for (const wrong of [NaN, 1.5, Infinity, '2', null, undefined, {}, 2n, true, 2 ** 53]) {
        assertThrows(() => make([1, wrong]), ArgumentError, 'shape', 'integers');
      }
    });
    test(`${name}: a shape that is not an array is an ArgumentError`, () => {
      for (const wrong of [undefined, null, 3, '3', {}, () => 1]) {
        assertThrows(() => make(wrong), ArgumentError, 'shape');
      }
    });
    test(`${name}: a rank above 8 is a ShapeError`, () =>
      void assertThrows(() => make([1, 1, 1, 1, 1, 1, 1, 1, 1]), ShapeError, 'shape', '9', '8'));
  }

  test('too many elements are an OutOfMemoryError', () => {
    for (const shape of [[2 ** 40], [2 ** 20, 2 ** 20], [2 ** 31], [2 ** 53 - 1], [65536, 65536, 65536]]) {
      assertThrows(() => Tensor.zeros(shape), OutOfMemoryError, 'shape', String(shape[0]));
      assertThrows(() => Tensor.randn(shape, { dtype: 'float64' }), OutOfMemoryError, 'shape');
    }
  });

  test('rank 0 has one element, a dimension of 0 none', () =>
    scoped((own) => {
      const scalar = own(Tensor.from([5], []));
      assert.deepEqual([scalar.rank, scalar.size, [...scalar.shape]], [0, 1, []]);
      assert.equal(scalar.data()[0], 5);
      const empty = own(Tensor.zeros([3, 0, 2]));
      assert.deepEqual([empty.rank, empty.size, empty.data().length], [3, 0, 0]);
      assert.equal(own(Tensor.randn([0])).size, 0);
      assert.equal(own(Tensor.from([], [0])).size, 0);
    }));

  test('are frozen copies of the passed array', () =>
    scoped((own) => {
      const shape = [2, 3];
      const tensor = own(Tensor.zeros(shape));
      shape[0] = 100;
      assert.deepEqual(tensor.shape, [2, 3]);
      assert.throws(() => tensor.shape.push(1), TypeError);
      assert.throws(() => (tensor.shape[0] = 1), TypeError);
      assert.deepEqual([tensor.rank, tensor.size], [2, 6]);
    }));
});

describe('zeros, full and randn', () => {
  test('zeros and full fill the tensor; the default is float32', () =>
    scoped((own) => {
      assert.equal(own(Tensor.zeros([2])).dtype, 'float32');
      assert.equal(own(Tensor.zeros([2], 'float64')).dtype, 'float64');
      assert.deepEqual([...own(Tensor.zeros([2, 2])).data()], [0, 0, 0, 0]);
      assert.deepEqual([...own(Tensor.full([3], 0.1, 'float64')).data()], [0.1, 0.1, 0.1]);
      assert.deepEqual([...own(Tensor.full([1], 0.1)).data()], [Math.fround(0.1)]);
      assert.deepEqual([...own(Tensor.full([1], -Infinity)).data()], [-Infinity]);
    }));

  test('an invalid value or dtype is an ArgumentError', () => {
    assertThrows(() => Tensor.full([1]), ArgumentError, 'value', 'undefined', 'a number');
    assertThrows(() => Tensor.full([1], '1'), ArgumentError, 'value', '"1"');
    for (const dtype of ['float16', 'Float32', 32, null, {}]) {
      assertThrows(() => Tensor.zeros([1], dtype), ArgumentError, 'dtype', 'float32', 'float64');
      assertThrows(() => Tensor.full([1], 1, dtype), ArgumentError, 'dtype');
      assertThrows(() => Tensor.from([1], [1], dtype), ArgumentError, 'dtype');
      assertThrows(() => Tensor.randn([1], { dtype }), ArgumentError, 'dtype');
    }
  });

  test('randn is normal with the requested mean and deviation', () =>
    scoped((own) => {
      const count = 40_000;
      const values = own(Tensor.randn([200, 200], { seed: 7, mean: 3, std: 2, dtype: 'float64' })).data();
      const mean = values.reduce((sum, value) => sum + value, 0) / count;
      const moment = (power) => values.reduce((sum, v) => sum + ((v - mean) / 2) ** power, 0) / count;
      // Five standard errors each: σ/√n of the mean, √(2/n) of the variance, √(96/n) of the fourth moment.
      assert.ok(Math.abs(mean - 3) < (5 * 2) / Math.sqrt(count), `mean ${mean}`);
      assert.ok(Math.abs(moment(2) - 1) < 5 * Math.sqrt(2 / count), `variance ${moment(2)}`);
      assert.ok(Math.abs(moment(4) - 3) < 5 * Math.sqrt(96 / count), `fourth moment ${moment(4)}`);
    }));

  test('randn: a seed gives the same numbers in both dtypes; other seeds and no seed give others', () =>
    scoped((own) => {
      const options = { seed: 42 };
      const first = own(Tensor.randn([101], options)).data();
      assertSameBits(own(Tensor.randn([101], options)).data(), first, 'the same seed');
      const wide = own(Tensor.randn([101], { ...options, dtype: 'float64' })).data();
      assertSameBits(Float32Array.from(wide), first, 'float64, rounded');
      assert.notDeepEqual(own(Tensor.randn([101], { seed: 43 })).data(), first);
      assert.notDeepEqual(own(Tensor.randn([101])).data(), own(Tensor.randn([101])).data());
      assert.equal(own(Tensor.randn([5], { std: 0, mean: 2 })).data()[4], 2);
    }));

  test('randn: invalid options are an ArgumentError', () => {
    const wrong = [
      ['seed', NaN],
      ['seed', -1],
      ['seed', 1.5],
      ['seed', 2 ** 53],
      ['seed', '1'],
      ['mean', NaN],
      ['mean', Infinity],
      ['mean', '0'],
      ['std', -1],
      ['std', NaN],
      ['std', null],
    ];
    for (const [name, value] of wrong) {
      assertThrows(() => Tensor.randn([2], { [name]: value }), ArgumentError, name);
    }
    assertThrows(() => Tensor.randn([2], 'seed'), ArgumentError, 'options');
  });

  test('the constructor is not callable', () => {
    assert.throws(() => new Tensor());
    assert.throws(() => new Tensor({}, 'float32'));
  });
});

describe('data, view, reshape and clone', () => {
  for (const dtype of ['float32', 'float64']) {
    test(`data returns a copy, view does not, ${dtype}`, () =>
      scoped((own) => {
        const tensor = own(Tensor.from([1, 2, 3], [3], dtype));
        tensor.data()[0] = 9;
        assert.deepEqual([...tensor.data()], [1, 2, 3]);
        const view = tensor.view();
        assert.equal(view.length, 3);
        assert.equal(view.BYTES_PER_ELEMENT, bytesOf[dtype]);
        view[0] = 9;
        assert.deepEqual([...tensor.data()], [9, 2, 3]);
        assert.equal(tensor.data().buffer.byteLength, 3 * bytesOf[dtype]);
      }));
  }

  test('data stays valid after dispose', () => {
    const tensor = Tensor.from([1, 2], [2]);
    const data = tensor.data();
    tensor.dispose();
    const other = Tensor.full([2], 7);
    assert.deepEqual([...data], [1, 2]);
    other.dispose();
  });

  test("reshape shares the elements, like PyTorch's view, and either tensor may be disposed first", () =>
    scoped((own) => {
      const tensor = own(Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]));
      const before = memoryInUse();
      const flat = own(tensor.reshape([6]));
      assert.equal(memoryInUse(), before);
      tensor.view()[5] = 60;
      assert.equal(flat.data()[5], 60);
      tensor.dispose();
      assert.equal(tensor.disposed, true);
      assert.equal(flat.disposed, false);
      assert.deepEqual([...flat.data()], [1, 2, 3, 4, 5, 60]);
    }));

  test('reshape infers one dimension', () =>
    scoped((own) => {
      const tensor = own(Tensor.zeros([2, 3, 4]));
      assert.deepEqual(own(tensor.reshape([-1])).shape, [24]);
      assert.deepEqual(own(tensor.reshape([4, -1])).shape, [4, 6]);
      assert.deepEqual(own(tensor.reshape([24, -1, 1])).shape, [24, 1, 1]);
      assert.deepEqual(own(own(Tensor.zeros([0, 3])).reshape([-1, 3])).shape, [0, 3]);
      assert.deepEqual(own(own(Tensor.zeros([1])).reshape([])).shape, []);
      assert.equal(own(own(Tensor.zeros([2], 'float64')).reshape([2, 1])).dtype, 'float64');
    }));

  test('reshape to another number of elements is a ShapeError and changes nothing', () =>
    scoped((own) => {
      const tensor = own(Tensor.zeros([2, 3]));
      for (const wrong of [
        [5],
        [7],
        [-1, 4],
        [-1, -1],
        [2, -2],
        [],
        [0],
        [-1, 0],
        [2 ** 40],
        [2 ** 40, -1],
      ]) {
        assertThrows(() => tensor.reshape(wrong), ShapeError, 'shape');
      }
      for (const wrong of [[NaN], [1.5, 4], '6', null]) {
        assertThrows(() => tensor.reshape(wrong), ArgumentError, 'shape');
      }
      assert.deepEqual(tensor.shape, [2, 3]);
    }));

  test('clone is independent', () =>
    scoped((own) => {
      const tensor = own(Tensor.from([1, 2], [2, 1], 'float64'));
      const clone = own(tensor.clone());
      tensor.view()[0] = 9;
      assert.deepEqual([...clone.data()], [1, 2]);
      assert.deepEqual([clone.shape, clone.dtype], [[2, 1], 'float64']);
      tensor.dispose();
      assert.deepEqual([...clone.data()], [1, 2]);
    }));
});

describe('dispose', () => {
  test('frees the memory; repeated calls have no effect', () => {
    const tensor = Tensor.zeros([1000], 'float64');
    assert.equal(memoryInUse(), 8000);
    assert.equal(tensor.disposed, false);
    tensor.dispose();
    assert.equal(tensor.disposed, true);
    assert.equal(memoryInUse(), 0);
    tensor.dispose();
    tensor[Symbol.dispose]();
    assert.equal(memoryInUse(), 0);
  });

  test('afterwards shape, rank, size and dtype are available; other calls are a DisposedError', () => {
    const tensor = Tensor.zeros([2, 3]);
    tensor.dispose();
    assert.deepEqual([tensor.shape, tensor.rank, tensor.size, tensor.dtype], [[2, 3], 2, 6, 'float32']);
    for (const call of [
      () => tensor.data(),
      () => tensor.view(),
      () => tensor.reshape([6]),
      () => tensor.clone(),
    ]) {
      assertThrows(call, DisposedError, 'Tensor', 'disposed');
    }
  });
});
