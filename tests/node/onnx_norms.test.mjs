// Norms of queries and keys in ONNX models: as operators, spelled out, and in exported layers. Each form is
// compared with ONNX Runtime, or refused by name.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { normalArray } from '../../support/random.mjs';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { graphOf } from '../support/graphs.mjs';
import { assertSameAsRuntime, custom, customModel } from '../support/onnx_custom.mjs';
import {
  DiffusionCrossAttention,
  fromOnnx,
  memoryInUse,
  toOnnx,
  WeightsError,
} from '../support/onnx_package.mjs';
import { attend, modelOf } from '../support/onnx_projections.mjs';
import { withSession } from '../support/onnx_run.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const { queryDim, contextDim, heads } = custom;
const headDim = queryDim / heads;

const drawn = (seed, mean = 0) => normalArray(headDim, seed, { deviation: 0.5 }).map((value) => value + mean);
const weightOf = (writer, seed) => writer.float(drawn(seed, 1));
const biasOf = (writer, seed) => writer.float(drawn(seed + 100));

/** Applies a mean over the last axis in the form of the operator set. */
const mean = (writer, value, opset, axis = -1) =>
  opset < 18
    ? writer.op('ReduceMean', [value], { axes: [axis] })
    : writer.op('ReduceMean', [value, writer.integers(axis)]);

const affine = (writer, value, seed) =>
  writer.op('Add', [writer.op('Mul', [value, weightOf(writer, seed)]), biasOf(writer, seed)]);

/** deviation = sqrt(mean(x²) + epsilon); `square`: how x² is computed. */
function deviation(writer, x, { opset, epsilon = 1e-6, square = 'Pow' }) {
  const squares = square === 'Pow' ? writer.op('Pow', [x, writer.scalar(2)]) : writer.op('Mul', [x, x]);
  return writer.op('Sqrt', [writer.op('Add', [mean(writer, squares, opset), writer.scalar(epsilon)])]);
}

const layerNorm = (writer, x, seed, opset, axis = -1) => {
  const centered = writer.op('Sub', [x, mean(writer, x, opset, axis)]);
  return affine(
    writer,
    writer.op('Div', [centered, deviation(writer, centered, { opset, epsilon: 1e-5 })]),
    seed,
  );
};

/** Forms of norms: [kind, epsilon, operator set, norm(writer, x, seed)]. */
const forms = {
  LayerNormalization: [
    'layer_norm',
    1e-5,
    17,
    (writer, x, seed) => writer.op('LayerNormalization', [x, weightOf(writer, seed), biasOf(writer, seed)]),
  ],
  'LayerNormalization, axis 3, no bias, with epsilon': [
    'layer_norm',
    1e-3,
    17,
    (writer, x, seed) =>
      writer.op('LayerNormalization', [x, weightOf(writer, seed)], { axis: 3, epsilon: { float: 1e-3 } }),
  ],
  'LayerNormalization, then a bias': [
    'layer_norm',
    1e-5,
    17,
    (writer, x, seed) =>
      writer.op('Add', [biasOf(writer, seed), writer.op('LayerNormalization', [x, weightOf(writer, seed)])]),
  ],
  'a layer norm, operator set 16': [
    'layer_norm',
    1e-5,
    16,
    (writer, x, seed) => layerNorm(writer, x, seed, 16),
  ],
  'a layer norm, operator set 18, axis 3': [
    'layer_norm',
    1e-5,
    18,
    (writer, x, seed) => layerNorm(writer, x, seed, 18, 3),
  ],
  'a layer norm whose difference is computed twice': [
    'layer_norm',
    1e-6,
    17,
    (writer, x, seed) => {
      const centered = () => writer.op('Sub', [x, mean(writer, x, 17)]);
      const root = deviation(writer, centered(), { opset: 17, square: 'Mul' });
      return affine(writer, writer.op('Div', [centered(), root]), seed);
    },
  ],
  'a layer norm without weight and bias': [
    'layer_norm',
    1e-6,
    17,
    (writer, x) => {
      const centered = writer.op('Sub', [x, mean(writer, x, 17)]);
      return writer.op('Div', [centered, deviation(writer, centered, { opset: 17 })]);
    },
  ],
  'a layer norm with one weight for all channels': [
    'layer_norm',
    1e-6,
    17,
    (writer, x, seed) => {
      const centered = writer.op('Sub', [x, mean(writer, x, 17)]);
      const norm = writer.op('Div', [centered, deviation(writer, centered, { opset: 17 })]);
      return writer.op('Add', [writer.op('Mul', [norm, writer.scalar(1.5)]), biasOf(writer, seed)]);
    },
  ],
  RMSNormalization: [
    'rms_norm',
    1e-6,
    23,
    (writer, x, seed) =>
      writer.op('RMSNormalization', [x, weightOf(writer, seed)], { epsilon: { float: 1e-6 } }),
  ],
  SimplifiedLayerNormalization: [
    'rms_norm',
    1e-6,
    17,
    (writer, x, seed) =>
      writer.op('SimplifiedLayerNormalization', [x, weightOf(writer, seed)], {
        axis: -1,
        epsilon: { float: 1e-6 },
        stash_type: 1,
      }),
  ],
  'an RMS norm by Reciprocal, as rsqrt': [
    'rms_norm',
    1e-6,
    17,
    (writer, x, seed) => {
      const inverse = writer.op('Reciprocal', [deviation(writer, x, { opset: 17 })]);
      return writer.op('Mul', [writer.op('Mul', [x, inverse]), weightOf(writer, seed)]);
    },
  ],
  'an RMS norm by 1 / x, factors first': [
    'rms_norm',
    1e-6,
    17,
    (writer, x, seed) => {
      const inverse = writer.op('Div', [
        writer.scalar(1),
        deviation(writer, x, { opset: 17, square: 'Mul' }),
      ]);
      return writer.op('Mul', [weightOf(writer, seed), writer.op('Mul', [inverse, x])]);
    },
  ],
  'an RMS norm by a power': [
    'rms_norm',
    1e-6,
    18,
    (writer, x, seed) => {
      const squares = writer.op('Pow', [x, writer.scalar(2)]);
      const sum = writer.op('Add', [writer.scalar(1e-6), mean(writer, squares, 18)]);
      const norm = writer.op('Mul', [x, writer.op('Pow', [sum, writer.scalar(-0.5)])]);
      return writer.op('Mul', [norm, weightOf(writer, seed)]);
    },
  ],
  'an RMS norm between casts, without epsilon': [
    'rms_norm',
    0,
    17,
    (writer, x, seed) => {
      const wide = writer.op('Cast', [x], { to: 11 });
      const squares = mean(writer, writer.op('Mul', [wide, wide]), 17);
      const norm = writer.op('Div', [wide, writer.op('Sqrt', [squares])]);
      return writer.op('Mul', [weightOf(writer, seed), writer.op('Cast', [norm], { to: 1 })]);
    },
  ],
};

describe('norms of queries and keys', () => {
  for (const [name, [kind, epsilon, opset, norm]] of Object.entries(forms)) {
    for (const dynamic of [false, true]) {
      test(`${name}, ${dynamic ? 'dynamic' : 'static'}`, async () => {
        const model = customModel({
          opset,
          irVersion: opset >= 23 ? 11 : 8,
          dynamic,
          query: (writer, value) => norm(writer, value, 1),
          key: (writer, value) => norm(writer, value, 2),
        });
        await assertSameAsRuntime(model);
        scoped((own) => {
          const { queryKeyNorm, normEpsilon } = own(fromOnnx(model.file)[0].layer).getDiagnostics();
          assert.deepEqual([queryKeyNorm, Number(normEpsilon)], [kind, epsilon]);
        });
      });
    }
  }
  const norm = forms['LayerNormalization'][3];
  test('a scale after the norm, and a scale of the scores', () =>
    assertSameAsRuntime(
      customModel({
        query: (writer, value) => writer.op('Mul', [norm(writer, value, 1), writer.scalar(0.7)]),
        key: (writer, value) => writer.op('Div', [norm(writer, value, 2), writer.scalar(1.3)]),
      }),
    ));
  test('a bias of the projection before the norm', () =>
    assertSameAsRuntime(
      customModel({
        project: (writer, role, value, weight) =>
          writer.op('Add', [
            writer.op('MatMul', [value, weight]),
            writer.float(normalArray(queryDim, role.length)),
          ]),
        query: (writer, value) => norm(writer, value, 1),
        key: (writer, value) => norm(writer, value, 2),
      }),
    ));
  test('before the heads are moved, of one projection for three operands', () =>
    assertSameAsRuntime(
      modelOf(
        (writer, { input, weight }) => {
          const qkv = writer.op('MatMul', [input, weight('to_qkv', queryDim, 3 * queryDim, 1)]);
          const parts = writer.outputs('Split', [qkv], 3, { axis: 2 });
          const operands = parts.map((part, index) => {
            const four = writer.op('Reshape', [part, writer.integers(0, -1, heads, headDim)]);
            const changed = index < 2 ? norm(writer, four, index + 1) : four;
            return writer.op('Transpose', [changed], { perm: [0, 2, 1, 3] });
          });
          return attend(writer, ...operands);
        },
        { isSelf: true },
      ),
    ));

  /** Queries and keys with norms, and values, [B, rows, C]. */
  const joinedOperands = (writer, { input, context, weight }) => {
    const operand = (role, value, from, seed) => {
      const projected = writer.op('MatMul', [value, weight(`to_${role}`, from, queryDim, seed)]);
      if (role === 'v') return projected;
      const four = writer.op('Reshape', [projected, writer.integers(0, -1, heads, headDim)]);
      return writer.op('Reshape', [norm(writer, four, seed), writer.integers(0, -1, queryDim)]);
    };
    return [
      operand('q', input, queryDim, 1),
      operand('k', context, contextDim, 2),
      operand('v', context, contextDim, 3),
    ];
  };
  test('before MultiHeadAttention, which must not add a bias', async () => {
    const build = (more) =>
      modelOf((writer, values) =>
        writer.node('MultiHeadAttention', [...joinedOperands(writer, values), ...more(writer)], {
          domain: 'com.microsoft',
          attributes: { num_heads: heads },
        }),
      );
    await assertSameAsRuntime(build(() => []));
    const { file } = build((writer) => [writer.float(normalArray(3 * queryDim, 7))]);
    assertThrows(() => fromOnnx(file), WeightsError, 'MultiHeadAttention', 'norm');
  });

  const refused = {
    'of queries only': [{ query: (writer, value) => norm(writer, value, 1) }, 'norm of the queries only'],
    'of keys only': [{ key: (writer, value) => norm(writer, value, 1) }, 'norm of the keys only'],
    'of values': [
      {
        query: (writer, value) => norm(writer, value, 1),
        key: (writer, value) => norm(writer, value, 1),
        value: (writer, value) => norm(writer, value, 1),
      },
      'normalizes the values',
    ],
    'with different epsilons': [
      {
        query: (writer, value) => norm(writer, value, 1),
        key: (writer, value) =>
          writer.op('LayerNormalization', [value, weightOf(writer, 2)], { epsilon: { float: 0.01 } }),
      },
      'for queries and',
    ],
    'of different kinds': [
      {
        query: (writer, value) => norm(writer, value, 1),
        key: (writer, value) =>
          writer.op('SimplifiedLayerNormalization', [value, weightOf(writer, 2)], { axis: -1 }),
      },
      'rms_norm',
    ],
    'over tokens': [
      {
        query: (writer, value) => norm(writer, value, 1),
        key: (writer, value) => {
          const moved = writer.op('Transpose', [value], { perm: [0, 1, 3, 2] });
          const rows = { axis: -1 };
          const weights = writer.float(normalArray(custom.length, 1));
          const changed = writer.op('LayerNormalization', [moved, weights], rows);
          return writer.op('Transpose', [changed], { perm: [0, 1, 3, 2] });
        },
      },
      'other elements than channels',
    ],
    'over several axes': [
      {
        query: (writer, value) =>
          writer.op('LayerNormalization', [value, writer.float(normalArray(20, 1), [5, 4])], { axis: 2 }),
      },
      'axis 2',
    ],
    'over the channels of all heads': [
      {
        project: (writer, role, value, weight) => {
          const projected = writer.op('MatMul', [value, weight]);
          if (role === 'value') return projected;
          return writer.op('LayerNormalization', [projected, writer.float(normalArray(queryDim, 1))]);
        },
      },
      `over ${queryDim} channels`,
    ],
    'with a weight for each head': [
      {
        query: (writer, value) => norm(writer, value, 1),
        key: (writer, value) => {
          const plain = writer.op('LayerNormalization', [value, writer.float(Array(headDim).fill(1))]);
          return writer.op('Mul', [plain, writer.float(normalArray(heads, 1), [heads, 1, 1])]);
        },
      },
      'key',
    ],
    'after a scale': [
      {
        query: (writer, value) => norm(writer, writer.op('Mul', [value, writer.scalar(2)]), 1),
        key: (writer, value) => norm(writer, value, 2),
      },
      'before its norm',
    ],
    twice: [
      { query: (writer, value) => norm(writer, norm(writer, value, 1), 2) },
      'second norm of the query',
    ],
    'with a bias of an RMS norm': [
      {
        query: (writer, value) =>
          writer.op('Add', [forms['an RMS norm by a power'][3](writer, value, 1), biasOf(writer, 1)]),
        key: (writer, value) => forms['an RMS norm by a power'][3](writer, value, 2),
        opset: 18,
      },
      'bias after an RMS norm',
    ],
    'with a weight that is computed from an input': [
      {
        query: (writer, value) => {
          const mean = writer.op('ReduceMean', [value], { axes: [0, 1, 2], keepdims: 0 });
          return writer.op('LayerNormalization', [value, mean]);
        },
      },
      'not constant',
    ],
    'by the length of a vector': [
      {
        query: (writer, value) => {
          const length = writer.op('ReduceL2', [value], { axes: [-1], keepdims: 1 });
          return writer.op('Div', [value, length]);
        },
      },
      'query',
    ],
    'by the variance over tokens': [
      {
        query: (writer, value) => {
          const squares = writer.op('Pow', [value, writer.scalar(2)]);
          const sum = writer.op('Add', [
            writer.op('ReduceMean', [squares], { axes: [2] }),
            writer.scalar(1e-6),
          ]);
          return writer.op('Div', [value, writer.op('Sqrt', [sum])]);
        },
      },
      'query',
    ],
    'by the variance of another value': [
      {
        query: (writer, value) => {
          const other = writer.op('Add', [value, writer.scalar(0.5)]);
          return writer.op('Div', [value, deviation(writer, other, { opset: 17 })]);
        },
      },
      'query',
    ],
    'with a negative epsilon': [
      Object.fromEntries(
        ['query', 'key'].map((role) => [
          role,
          (writer, value) =>
            writer.op('LayerNormalization', [value, weightOf(writer, 2)], { epsilon: { float: -1 } }),
        ]),
      ),
      'epsilon -1',
    ],
  };
  for (const [name, [options, message]] of Object.entries(refused)) {
    test(`refused: ${name}`, () =>
      assertThrows(() => fromOnnx(customModel(options).file), WeightsError, message));
  }
});

describe('exported layers with norms', () => {
  const masks = {
    none: null,
    'a mask with a row without keys': [2, 2, 5, 7],
    'a mask for all heads and tokens': [2, 1, 1, 7],
  };
  for (const queryKeyNorm of ['layer_norm', 'rms_norm']) {
    for (const [attention, opset] of [
      ['operators', 17],
      ['operators', 18],
      ['com.microsoft', 17],
      ['ai.onnx', 23],
    ]) {
      for (const [maskName, maskShape] of Object.entries(masks)) {
        test(`${queryKeyNorm}, ${attention}, operator set ${opset}, mask: ${maskName}`, () =>
          scoped(async (own) => {
            const options = { seed: 3, headDim: 3, bias: true, queryKeyNorm, normEpsilon: 1e-6 };
            const layer = own(new DiffusionCrossAttention(8, 5, 2, 8, options));
            layer.setParameters(normalArray(layer.parameterCount, 4, { deviation: 0.5 }));
            const { output, inputs } = graphOf(layer, { mask: maskShape !== null, name: 'block.attn2' });
            const file = toOnnx(output, inputs, { attention, opset });
            const input = own(normalTensor([2, 5, 8], 5));
            const context = own(normalTensor([2, 7, 5], 6));
            const mask = maskShape && own(normalTensor(maskShape, 7));
            if (mask !== null) mask.view().fill(-Infinity, 0, 7);
            const feed = (tensor) => ({ data: tensor.data(), shape: tensor.shape });
            const feeds = { input: feed(input), context: feed(context), ...(mask && { mask: feed(mask) }) };
            const expected = own(layer.forwardWithContext(input, context, { mask })).data();
            const actual = await withSession(file, async (run) => Object.values(await run(feeds))[0].data);
            assertClose(actual, expected, 2e-6 * maximumMagnitude(expected), 'the model');
            const [imported] = fromOnnx(file);
            own(imported.layer);
            assert.equal(imported.name, 'block.attn2');
            assertSameBits(imported.layer.getParameters(), layer.getParameters(), 'parameters');
            const again = own(imported.layer.forwardWithContext(input, context, { mask }));
            assertSameBits(again.data(), expected, 'the imported layer');
          }));
      }
    }
  }
});
