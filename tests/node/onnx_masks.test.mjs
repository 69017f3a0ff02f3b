// Masks and biases of scores in ONNX models: constants become the imported mask, whatever operators add them;
// masks from inputs of the model are arguments of a call; everything else between products and softmax is
// refused by the name of its node. Nothing is dropped: outputs are compared with ONNX Runtime's.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { normalArray } from '../../support/random.mjs';
import { assertThrows } from '../support/errors.mjs';
import { assertSameAsRuntime, custom, customModel } from '../support/onnx_custom.mjs';
import { fromOnnx, memoryInUse, Tensor, WeightsError } from '../support/onnx_package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const { batch, tokens, length, heads } = custom;
const lowest = -3.4028234663852886e38;

/** 1 where a query may attend to a key. */
const lowerTriangle = Array.from({ length: tokens * length }, (_, index) =>
  index % length <= Math.floor(index / length) ? 1 : 0,
);
const triangleOf = (yes, no) => lowerTriangle.map((allowed) => (allowed === 1 ? yes : no));

const add = (dims, values) => (writer, scores) => writer.op('Add', [scores, writer.float(values, dims)]);
const bias = (count, seed = 5) => normalArray(count, seed);

describe('constants that are added to the scores', () => {
  const shapes = {
    'of each key': [length],
    'of each key, rank 2': [1, length],
    'causal, rank 2': [tokens, length],
    'rank 3 of heads': [heads, tokens, length],
    'of heads and keys': [1, heads, 1, length],
    'of images': [batch, 1, tokens, length],
    'of everything': [batch, heads, tokens, length],
    'of heads': [heads, 1, length],
  };
  for (const [name, dims] of Object.entries(shapes)) {
    const count = dims.reduce((size, dim) => size * dim, 1);
    test(`${name}: ${dims}`, async () => {
      const { mask } = await assertSameAsRuntime(customModel({ scores: add(dims, bias(count)) }));
      const padded = [...new Array(4 - dims.length).fill(1), ...dims];
      assert.deepEqual(mask.shape, padded);
    });
  }

  const causal = {
    'Add of -infinity': add([tokens, length], triangleOf(0, -Infinity)),
    'Add of the lowest number': add([1, 1, tokens, length], triangleOf(0, lowest)),
    'Add, mask first': (writer, scores) =>
      writer.op('Add', [writer.float(triangleOf(0, -1e9), [tokens, length]), scores]),
    Sub: (writer, scores) => writer.op('Sub', [scores, writer.float(triangleOf(0, 1e4), [tokens, length])]),
    'Where of scores': (writer, scores) =>
      writer.op('Where', [
        writer.booleans(lowerTriangle, [tokens, length]),
        scores,
        writer.scalar(-Infinity),
      ]),
    'Where of a number': (writer, scores) =>
      writer.op('Where', [
        writer.booleans(triangleOf(0, 1), [1, 1, tokens, length]),
        writer.scalar(-1e4),
        scores,
      ]),
    'Where with Cast of a number': (writer, scores) =>
      writer.op('Where', [
        writer.op('Cast', [writer.float(lowerTriangle, [tokens, length])], { to: 9 }),
        scores,
        writer.float([lowest], [1]),
      ]),
    'Where of two masks, added': (writer, scores) =>
      writer.op('Add', [
        scores,
        writer.op('Where', [
          writer.booleans(lowerTriangle, [tokens, length]),
          writer.scalar(0),
          writer.scalar(-Infinity),
        ]),
      ]),
    'Mul and Sub, as in GPT-2': (writer, scores) => {
      const allowed = writer.float(lowerTriangle, [1, 1, tokens, length]);
      const excluded = writer.op('Mul', [writer.op('Sub', [writer.scalar(1), allowed]), writer.scalar(1e10)]);
      return writer.op('Sub', [writer.op('Mul', [scores, allowed]), excluded]);
    },
    Trilu: (writer, scores) => {
      const ones = writer.op('ConstantOfShape', [writer.integers(tokens, length)]);
      const filled = writer.op('Add', [ones, writer.scalar(-1e5)]);
      const upper = writer.op('Trilu', [filled, writer.constant([1], { dims: [] })], { upper: 1 });
      return writer.op('Add', [scores, writer.op('Unsqueeze', [upper, writer.integers(0, 1)])]);
    },
    'Trilu of sizes of a static shape': (writer, scores) => {
      const shape = writer.op('Slice', [
        writer.op('Shape', [scores]),
        writer.integers(2),
        writer.integers(4),
      ]);
      const ones = writer.op('Expand', [writer.scalar(1), shape]);
      const lower = writer.op('Trilu', [ones], { upper: 0 });
      const allowed = writer.op('Cast', [lower], { to: 9 });
      return writer.op('Where', [allowed, scores, writer.scalar(-Infinity)]);
    },
    'Range and LessOrEqual': (writer, scores) => {
      const upTo = (size) =>
        writer.op(
          'Range',
          [0, size, 1].map((value) => writer.constant([value], { dims: [] })),
        );
      const rows = writer.op('Unsqueeze', [upTo(tokens), writer.integers(1)]);
      const allowed = writer.op('LessOrEqual', [upTo(length), rows]);
      return writer.op('Where', [allowed, scores, writer.scalar(-1e9)]);
    },
    'Slice of a larger buffer': (writer, scores) => {
      const size = 16;
      const buffer = Array.from({ length: size * size }, (_, index) =>
        index % size <= Math.floor(index / size) ? 0 : -1e9,
      );
      const whole = writer.float(buffer, [1, 1, size, size]);
      const rows = writer.op('Slice', [whole, ...[0, tokens, 2, 1].map((value) => writer.integers(value))]);
      const part = writer.op('Slice', [rows, ...[0, length, 3, 1].map((value) => writer.integers(value))]);
      return writer.op('Add', [scores, part]);
    },
    'Not and Where': (writer, scores) =>
      writer.op('Where', [
        writer.op('Not', [writer.booleans(lowerTriangle, [tokens, length])]),
        writer.scalar(-1e9),
        scores,
      ]),
  };
  for (const [name, scores] of Object.entries(causal)) {
    test(`a causal mask: ${name}`, async () => {
      const { mask } = await assertSameAsRuntime(customModel({ scores }));
      assert.deepEqual(mask.shape, [1, 1, tokens, length]);
      mask.data.forEach((value, index) => {
        assert.ok(lowerTriangle[index] === 1 ? value === 0 : value <= -1e4, `${index}: ${value}`);
      });
    });
  }

  test('a mask in float64', async () => {
    const model = customModel({ scores: add([tokens, length], triangleOf(0, lowest)) });
    const { mask } = await assertSameAsRuntime(model, { options: { dtype: 'float64' } });
    assert.ok(mask.data instanceof Float64Array);
  });

  test('several masks and a scale between and after them', () =>
    assertSameAsRuntime(
      customModel({
        scores: (writer, scores) => {
          const first = add([tokens, length], bias(tokens * length))(writer, scores);
          const scaled = writer.op('Div', [first, writer.scalar(2)]);
          const second = add([heads, 1, length], bias(heads * length, 6))(writer, scaled);
          return writer.op('Mul', [writer.scalar(3), second]);
        },
      }),
    ));

  test('a mask minus the scores', () =>
    assertSameAsRuntime(
      customModel({
        scores: (writer, scores) =>
          writer.op('Sub', [writer.float(bias(length)), writer.op('Neg', [scores])]),
      }),
    ));

  test('a mask that depends on the order of heads in a batch', () =>
    assertSameAsRuntime(
      customModel({
        scores: (writer, scores) => {
          const flat = writer.op('Reshape', [scores, writer.integers(batch * heads, tokens, length)]);
          const added = add([batch * heads, 1, length], bias(batch * heads * length))(writer, flat);
          return writer.op('Reshape', [added, writer.integers(batch, heads, tokens, length)]);
        },
      }),
    ));

  test('transposed scores', () =>
    assertSameAsRuntime(
      customModel({
        scores: (writer, scores) => {
          const first = writer.op('Transpose', [scores], { perm: [0, 3, 1, 2] });
          const added = add([length, heads, 1], bias(length * heads))(writer, first);
          return writer.op('Transpose', [added], { perm: [0, 2, 3, 1] });
        },
      }),
    ));

  test('numbers and rows that do not change a softmax are no mask', async () => {
    for (const scores of [
      add([], [-3]),
      add([tokens, 1], bias(tokens)),
      add([batch, heads, tokens, 1], bias(batch * heads * tokens)),
      add([tokens, length], new Array(tokens * length).fill(0)),
    ]) {
      const { mask } = await assertSameAsRuntime(customModel({ scores }));
      assert.equal(mask, undefined);
    }
  });

  test('rows whose keys are all replaced by one number attend to all of them alike', () =>
    assertSameAsRuntime(
      customModel({
        scores: (writer, scores) =>
          writer.op('Where', [
            writer.booleans(
              lowerTriangle.map((allowed, index) => (index < length ? 0 : allowed)),
              [tokens, length],
            ),
            scores,
            writer.scalar(-1e4),
          ]),
      }),
    ));

  test('rows without keys are zero, if the model replaces NaN', () =>
    assertSameAsRuntime(
      customModel({
        scores: add(
          [tokens, length],
          triangleOf(0, -Infinity).map((value, index) => (index < length ? -Infinity : value)),
        ),
        probabilities: (writer, value) =>
          writer.op('Where', [writer.op('IsNaN', [value]), writer.scalar(0), value]),
      }),
    ));
});

describe('masks from inputs of the model', () => {
  const values = triangleOf(0, -1e4).map((value, index) => value + (index % 3));
  const feeds = { mask: { data: Float32Array.from(values), shape: [1, 1, tokens, length] } };
  const shape = [1, 1, tokens, length];
  const maskTensor = (list) => Tensor.from(Float32Array.from(list), shape);

  test('are arguments of the call, and are named', async () => {
    const { mask, maskInputs } = await assertSameAsRuntime(
      customModel({ scores: (writer, scores) => writer.op('Add', [scores, writer.input('mask', shape)]) }),
      { feeds, mask: maskTensor(values) },
    );
    assert.deepEqual([mask, maskInputs], [undefined, ['mask']]);
  });
  test('may be converted by the model', async () => {
    const keep = { mask: { data: Float32Array.from(lowerTriangle), shape: [tokens, length] } };
    const { maskInputs } = await assertSameAsRuntime(
      customModel({
        scores: (writer, scores) => {
          const input = writer.input('mask', [tokens, length]);
          const inverted = writer.op('Sub', [writer.scalar(1), input]);
          const scaled = writer.op('Mul', [inverted, writer.scalar(-1e4)]);
          return writer.op('Add', [scores, writer.op('Unsqueeze', [scaled, writer.integers(0, 1)])]);
        },
      }),
      { feeds: keep, mask: maskTensor(triangleOf(0, -1e4)) },
    );
    assert.deepEqual(maskInputs, ['mask']);
  });
  test('besides a constant', async () => {
    const table = bias(length);
    const sum = (writer, scores, order) => {
      const input = writer.input('mask', shape);
      const constant = writer.float(table);
      return order === 'mask first'
        ? writer.op('Add', [writer.op('Add', [input, constant]), scores])
        : writer.op('Add', [writer.op('Add', [scores, input]), constant]);
    };
    for (const order of ['mask first', 'scores first']) {
      const model = customModel({ scores: (writer, scores) => sum(writer, scores, order) });
      const both = values.map((value, index) => value + table[index % length]);
      const { mask, maskInputs } = await assertSameAsRuntime(model, { feeds, mask: maskTensor(both) });
      assert.deepEqual([mask.shape, maskInputs], [[1, 1, 1, length], ['mask']]);
      mask.data.forEach((value, index) => assert.equal(value, Math.fround(table[index])));
    }
  });
});

describe('what the layer cannot represent is refused by its node', () => {
  const refused = {
    'a value that is not a scale': [
      (writer, scores) => writer.op('Mul', [scores, writer.float(bias(length))]),
      ['of type "Mul"', 'different numbers'],
    ],
    'a scale of each head': [
      (writer, scores) => writer.op('Div', [scores, writer.float(bias(heads), [heads, 1, 1])]),
      ['of type "Div"', 'scale'],
    ],
    'scores replaced by a small number': [
      (writer, scores) =>
        writer.op('Where', [writer.booleans(lowerTriangle, [tokens, length]), scores, writer.scalar(-100)]),
      ['replaces scores by -100'],
    ],
    'a mask that multiplies only': [
      (writer, scores) => writer.op('Mul', [scores, writer.float(lowerTriangle, [tokens, length])]),
      ['replaces scores by 0'],
    ],
    'NaN in a mask': [add([length], [NaN, ...bias(length - 1)]), ['NaN']],
    'infinity in a mask': [add([length], [Infinity, ...bias(length - 1)]), ['Infinity']],
    'a soft cap': [
      (writer, scores) => {
        const inner = writer.op('Tanh', [writer.op('Div', [scores, writer.scalar(50)])]);
        return writer.op('Mul', [inner, writer.scalar(50)]);
      },
      ['of type "Tanh"', 'scores'],
    ],
    'a clamp': [
      (writer, scores) => writer.op('Clip', [scores, writer.scalar(-5), writer.scalar(5)]),
      ['of type "Clip"', 'scores'],
    ],
    'a rectified score': [(writer, scores) => writer.op('Relu', [scores]), ['of type "Relu"']],
    'a normalization of heads': [
      (writer, scores) =>
        writer.op('Add', [scores, writer.op('Einsum', [scores, scores], { equation: 'bhij,bhij->bhij' })]),
      ['of type "Add"', '2 products'],
    ],
    'a bias that depends on the queries': [
      (writer, scores, { q }) =>
        writer.op('Add', [scores, writer.op('ReduceMean', [q], { axes: [-1], keepdims: 1 })]),
      ['of type "ReduceMean"'],
    ],
    'a bias that depends on the input': [
      (writer, scores, { context }) => {
        const channel = writer.op('Slice', [
          context,
          writer.integers(0),
          writer.integers(1),
          writer.integers(2),
        ]);
        return writer.op('Add', [
          scores,
          writer.op('Unsqueeze', [
            writer.op('Transpose', [channel], { perm: [0, 2, 1] }),
            writer.integers(1),
          ]),
        ]);
      },
      ['of type "Add"', 'depends on the tokens'],
    ],
    'a table that an input indexes': [
      (writer, scores) => {
        const table = writer.float(bias(9), [9]);
        const index = writer.input('positions', [tokens, length], 'int64');
        return writer.op('Add', [scores, writer.op('Gather', [table, index])]);
      },
      ['constant', 'input'],
    ],
    'a scale from an input': [
      (writer, scores) => writer.op('Mul', [scores, writer.input('temperature', [])]),
      ['of type "Mul"', 'scale'],
    ],
    'a scale after a mask from an input': [
      (writer, scores) =>
        writer.op('Mul', [
          writer.op('Add', [scores, writer.input('mask', [tokens, length])]),
          writer.scalar(2),
        ]),
      ['of type "Mul"', 'after a mask'],
    ],
    'a mask of an input that is subtracted': [
      (writer, scores) => writer.op('Sub', [scores, writer.input('mask', [tokens, length])]),
      ['of type "Sub"', 'subtracts'],
    ],
  };
  for (const [name, [scores, parts]] of Object.entries(refused)) {
    test(name, () => assertThrows(() => fromOnnx(customModel({ scores }).file), WeightsError, ...parts));
  }

  test('a causal mask over sizes that are known only at run time', () => {
    const scores = (writer, value) => {
      const shape = writer.op('Slice', [writer.op('Shape', [value]), writer.integers(2), writer.integers(4)]);
      const lower = writer.op('Trilu', [writer.op('Expand', [writer.scalar(1), shape])], { upper: 0 });
      return writer.op('Where', [writer.op('Cast', [lower], { to: 9 }), value, writer.scalar(-Infinity)]);
    };
    const { file } = customModel({ scores, dynamic: true });
    assertThrows(() => fromOnnx(file), WeightsError, 'of type "Trilu"', 'run time');
  });

  const changes = {
    'a factor of each head': ['Mul', [heads, 1, 1]],
    'a factor of each key': ['Mul', [length]],
    'a number that is added': ['Add', []],
  };
  for (const [name, [type, dims]] of Object.entries(changes)) {
    test(`probabilities changed by ${name}`, () => {
      const count = dims.reduce((size, dim) => size * dim, 1);
      const probabilities = (writer, value) => writer.op(type, [value, writer.float(bias(count), dims)]);
      assertThrows(
        () => fromOnnx(customModel({ probabilities }).file),
        WeightsError,
        `of type "${type}"`,
        'probabilities',
      );
    });
  }
  test('probabilities that a mask removes', () => {
    const probabilities = (writer, value) =>
      writer.op('Where', [writer.booleans(lowerTriangle, [tokens, length]), value, writer.scalar(0)]);
    assertThrows(() => fromOnnx(customModel({ probabilities }).file), WeightsError, 'of type "Where"');
    const inverted = (writer, value) =>
      writer.op('Where', [writer.booleans(lowerTriangle, [tokens, length]), writer.scalar(0), value]);
    assertThrows(
      () => fromOnnx(customModel({ probabilities: inverted }).file),
      WeightsError,
      'of type "Where"',
    );
  });
  test('probabilities in training', () => {
    const dropout = (isTraining) => (writer, value) =>
      writer.op('Dropout', [value, writer.scalar(0.5), writer.booleans([isTraining], [])]);
    const training = customModel({ probabilities: dropout(true) });
    assertThrows(() => fromOnnx(training.file), WeightsError, 'of type "Dropout"');
    return assertSameAsRuntime(customModel({ probabilities: dropout(false) }));
  });
  test('operators on queries, keys, values and the result', () => {
    const change =
      (type, ...more) =>
      (writer, value) =>
        writer.op(type, [value, ...more.map((make) => make(writer))]);
    const list = (writer) => writer.float(bias(4));
    for (const role of ['query', 'key', 'value']) {
      for (const [type, ...more] of [
        ['Relu'],
        ['Tanh'],
        ['LpNormalization'],
        ['Mul', list],
        ['Add', list],
        ['Sub', list],
        ['Div', list],
      ]) {
        const { file } = customModel({ [role]: change(type, ...more) });
        assertThrows(() => fromOnnx(file), WeightsError, `of type "${type}"`, role);
      }
    }
    for (const [type, ...more] of [['Relu'], ['Mul', list], ['Add', list]]) {
      const { file } = customModel({ attended: change(type, ...more) });
      assertThrows(() => fromOnnx(file), WeightsError, 'of type "Softmax"', `of type "${type}"`);
    }
    const rotary = (writer, value) => {
      const [left, right] = writer.outputs('Split', [value], 2, { axis: -1 });
      const turned = writer.op('Concat', [writer.op('Neg', [right]), left], { axis: -1 });
      const table = (seed) => writer.float(bias(4, seed));
      return writer.op('Add', [writer.op('Mul', [value, table(1)]), writer.op('Mul', [turned, table(2)])]);
    };
    assertThrows(() => fromOnnx(customModel({ query: rotary }).file), WeightsError, 'of type "Add"', 'query');
  });
});

describe('the axis of the softmax', () => {
  test('before operator set 13, the default joins all axes but the first', () => {
    const softmax = (writer, scores) => writer.op('Softmax', [scores]);
    const { file } = customModel({ opset: 12, softmax });
    assertThrows(() => fromOnnx(file), WeightsError, 'of type "Softmax"', 'axis 1', 'operator set 12');
  });
  for (const opset of [11, 12]) {
    test(`operator set ${opset}, the axis of the keys`, async () => {
      for (const axis of [-1, 3]) {
        const softmax = (writer, scores) => writer.op('Softmax', [scores], { axis });
        await assertSameAsRuntime(customModel({ opset, softmax }));
      }
    });
    test(`operator set ${opset}, scores of rank 2 and of one row`, async () => {
      const flat = (writer, scores) => {
        const rows = writer.op('Reshape', [scores, writer.integers(batch * heads * tokens, length)]);
        return writer.op('Reshape', [
          writer.op('Softmax', [rows]),
          writer.integers(batch, heads, tokens, length),
        ]);
      };
      await assertSameAsRuntime(customModel({ opset, softmax: flat }));
      const oneRow = (writer, scores) => writer.op('Softmax', [scores], { axis: 2 });
      await assertSameAsRuntime(customModel({ opset, softmax: oneRow, tokens: 1 }));
    });
  }
  test('other axes', () => {
    for (const axis of [0, 1, 2, -2, -3]) {
      const softmax = (writer, scores) => writer.op('Softmax', [scores], { axis });
      assertThrows(() => fromOnnx(customModel({ softmax }).file), WeightsError, `axis ${axis}`);
    }
    const keysMoved = (writer, scores) =>
      writer.op('Softmax', [writer.op('Transpose', [scores], { perm: [0, 1, 3, 2] })], { axis: -1 });
    const { file } = customModel({ softmax: keysMoved, tokens: length });
    assertThrows(() => fromOnnx(file), WeightsError, 'of type "Softmax"');
  });
  test('probabilities that are moved', () => {
    const turned = (writer, value) => writer.op('Transpose', [value], { perm: [0, 1, 3, 2] });
    const { file } = customModel({ probabilities: turned, tokens: length });
    assertThrows(() => fromOnnx(file), WeightsError, 'of type "MatMul"', 'probabilities');
  });
});
