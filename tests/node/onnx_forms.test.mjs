// Projections and attentions in the forms that models have: several projections in one, and operators that
// compute a whole attention. Each is compared with ONNX Runtime, or refused by name.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { normalArray } from '../../support/random.mjs';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { assertSameAsRuntime, custom, drawWeight, GraphWriter } from '../support/onnx_custom.mjs';
import { fromOnnx, memoryInUse, Tensor, WeightsError } from '../support/onnx_package.mjs';
import { attend, modelOf, splitHeads } from '../support/onnx_projections.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const { batch, tokens, length, queryDim, contextDim, heads } = custom;
const headDim = queryDim / heads;

describe('one projection for several operands', () => {
  const packed = {
    'Split of channels': (writer, qkv) =>
      writer.outputs('Split', [qkv], 3, { axis: 2 }).map((one) => splitHeads(writer, one)),
    'Split with sizes': (writer, qkv) =>
      writer
        .outputs('Split', [qkv, writer.integers(12, 12, 12)], 3, { axis: -1 })
        .map((one) => splitHeads(writer, one)),
    'Slice of channels': (writer, qkv) =>
      [0, 1, 2].map((index) => {
        const range = [index * queryDim, index === 2 ? '9223372036854775807' : (index + 1) * queryDim, -1];
        return splitHeads(writer, writer.op('Slice', [qkv, ...range.map((value) => writer.integers(value))]));
      }),
    'Reshape, Transpose and Gather, as in timm': (writer, qkv) => {
      const five = writer.op('Reshape', [qkv, writer.integers(0, -1, 3, heads, headDim)]);
      const moved = writer.op('Transpose', [five], { perm: [2, 0, 3, 1, 4] });
      return [0, 1, -1].map((index) =>
        writer.op('Gather', [moved, writer.constant([index], { dims: [] })], { axis: 0 }),
      );
    },
    'Reshape, Split and Squeeze': (writer, qkv) => {
      const five = writer.op('Reshape', [qkv, writer.integers(0, -1, 3, heads, headDim)]);
      const moved = writer.op('Transpose', [five], { perm: [2, 0, 3, 1, 4] });
      return writer
        .outputs('Split', [moved], 3, { axis: 0 })
        .map((one) => writer.op('Squeeze', [one, writer.integers(0)]));
    },
    'channels of a head together, as in GPT-NeoX': (writer, qkv) => {
      const four = writer.op('Reshape', [qkv, writer.integers(0, -1, heads, 3 * headDim)]);
      const moved = writer.op('Transpose', [four], { perm: [0, 2, 1, 3] });
      return writer.outputs('Split', [moved], 3, { axis: 3 });
    },
    'heads, then parts': (writer, qkv) => {
      const five = writer.op('Reshape', [qkv, writer.integers(0, -1, heads, 3, headDim)]);
      return [0, 1, 2].map((index) => {
        const part = writer.op('Gather', [five, writer.constant([index], { dims: [] })], { axis: 3 });
        return writer.op('Transpose', [part], { perm: [0, 2, 1, 3] });
      });
    },
  };
  for (const [name, unpack] of Object.entries(packed)) {
    for (const dynamic of [false, true]) {
      test(`queries, keys and values: ${name}, ${dynamic ? 'dynamic' : 'static'}`, async () => {
        const build = (writer, { input, weight }) => {
          const qkv = writer.op('MatMul', [input, weight('to_qkv', queryDim, 3 * queryDim, 1)]);
          return attend(writer, ...unpack(writer, qkv));
        };
        const { kind, name: path } = await assertSameAsRuntime(modelOf(build, { isSelf: true, dynamic }));
        assert.deepEqual([kind, path], ['self', 'block.attn']);
      });
    }
  }
  test('keys and values', () =>
    assertSameAsRuntime(
      modelOf((writer, { input, context, weight }) => {
        const q = splitHeads(writer, writer.op('MatMul', [input, weight('to_q', queryDim, queryDim, 1)]));
        const kv = writer.op('MatMul', [context, weight('to_kv', contextDim, 2 * queryDim, 2)]);
        const five = writer.op('Reshape', [kv, writer.integers(0, -1, 2, heads, headDim)]);
        const [k, v] = [0, 1].map((index) => {
          const part = writer.op('Gather', [five, writer.integers(index)], { axis: 2 });
          const four = writer.op('Squeeze', [part, writer.integers(2)]);
          return writer.op('Transpose', [four], { perm: [0, 2, 1, 3] });
        });
        return attend(writer, q, k, v);
      }),
    ));
  for (const [name, unpack] of Object.entries(packed)) {
    test(`with a bias: ${name}`, () =>
      assertSameAsRuntime(
        modelOf(
          (writer, { input, weight }) => {
            const product = writer.op('MatMul', [input, weight('to_qkv', queryDim, 3 * queryDim, 1)]);
            const qkv = writer.op('Add', [product, writer.float(normalArray(3 * queryDim, 6))]);
            return attend(writer, ...unpack(writer, qkv));
          },
          { isSelf: true, dynamic: true },
        ),
      ));
  }
  for (const axis of [2, 3]) {
    test(`keys and values with a bias, [B, L, ${axis === 2 ? '2, heads' : 'heads, 2'}, d]`, () =>
      assertSameAsRuntime(
        modelOf((writer, { input, context, weight }) => {
          const q = splitHeads(writer, writer.op('MatMul', [input, weight('to_q', queryDim, queryDim, 1)]));
          const product = writer.op('MatMul', [context, weight('to_kv', contextDim, 2 * queryDim, 2)]);
          const kv = writer.op('Add', [product, writer.float(normalArray(2 * queryDim, 6))]);
          const shape = axis === 2 ? [0, -1, 2, heads, headDim] : [0, -1, heads, 2, headDim];
          const five = writer.op('Reshape', [kv, writer.integers(...shape)]);
          const [k, v] = writer.outputs('Split', [five], 2, { axis }).map((part) => {
            const four = writer.op('Squeeze', [part, writer.integers(axis)]);
            return writer.op('Transpose', [four], { perm: [0, 2, 1, 3] });
          });
          return attend(writer, q, k, v);
        }),
      ));
  }
  test('parts of other sizes and other elements are refused', () => {
    const build = (unpack) =>
      modelOf(
        (writer, { input, weight }) => {
          const qkv = writer.op('MatMul', [input, weight('to_qkv', queryDim, 3 * queryDim, 1)]);
          return attend(writer, ...unpack(writer, qkv));
        },
        { isSelf: true },
      ).file;
    const tokensOnly = build((writer, qkv) => {
      const [q, k, v] = writer.outputs('Split', [qkv], 3, { axis: -1 });
      const part = ['Slice', [k, writer.integers(0), writer.integers(3), writer.integers(1)]];
      return [q, writer.op(...part), v].map((one) => splitHeads(writer, one));
    });
    assertThrows(() => fromOnnx(tokensOnly), WeightsError, 'of type "Slice"', 'key');
    const interleaved = build((writer, qkv) => {
      const five = writer.op('Reshape', [qkv, writer.integers(0, -1, heads, headDim, 3)]);
      return [0, 1, 2].map((index) => {
        const part = writer.op('Gather', [five, writer.constant([index], { dims: [] })], { axis: 4 });
        return writer.op('Transpose', [part], { perm: [0, 2, 1, 3] });
      });
    });
    assertThrows(() => fromOnnx(interleaved), WeightsError, 'heads');
  });
});

describe('operators of com.microsoft', () => {
  const microsoft = (writer, type, input, attributes) =>
    writer.node(type, input, { domain: 'com.microsoft', attributes: { num_heads: heads, ...attributes } });
  /** ONNX Runtime computes packed operands on GPUs only: compared with the same projections, unpacked. */
  const assertSameLayer = (build, options) =>
    scoped((own) => {
      const [packed, plain] = [true, false].map((isPacked) => {
        const [{ layer }] = fromOnnx(
          modelOf((writer, values) => build(writer, values, isPacked), options).file,
        );
        return own(layer);
      });
      assertSameBits(packed.getParameters(), plain.getParameters(), 'parameters');
    });
  const parts = (writer, packed, count) =>
    Array.from({ length: count }, (_, index) => {
      const part = writer.op('Gather', [packed, writer.constant([index], { dims: [] })], { axis: 3 });
      return writer.op('Transpose', [part], { perm: [0, 2, 1, 3] });
    });
  test('MultiHeadAttention with packed keys and values', () =>
    assertSameLayer((writer, { input, context, weight }, isPacked) => {
      const q = writer.op('MatMul', [input, weight('to_q', queryDim, queryDim, 1)]);
      const kv = writer.op('MatMul', [context, weight('to_kv', contextDim, 2 * queryDim, 2)]);
      const five = writer.op('Reshape', [kv, writer.integers(0, -1, heads, 2, headDim)]);
      if (isPacked) return microsoft(writer, 'MultiHeadAttention', [q, five]);
      return attend(writer, splitHeads(writer, q), ...parts(writer, five, 2));
    }));
  test('MultiHeadAttention with packed queries, keys and values', () =>
    assertSameLayer(
      (writer, { input, weight }, isPacked) => {
        const qkv = writer.op('MatMul', [input, weight('to_qkv', queryDim, 3 * queryDim, 1)]);
        const five = writer.op('Reshape', [qkv, writer.integers(0, -1, heads, 3, headDim)]);
        if (isPacked) return microsoft(writer, 'MultiHeadAttention', [five]);
        return attend(writer, ...parts(writer, five, 3));
      },
      { isSelf: true },
    ));
  for (const unidirectional of [0, 1]) {
    test(`Attention, unidirectional ${unidirectional}`, async () => {
      const model = modelOf(
        (writer, { input, weight }) => {
          const bias = writer.initializer('block.attn.bias', [3 * queryDim], new Float32Array(3 * queryDim));
          const packed = weight('to_qkv', queryDim, 3 * queryDim, 1);
          return microsoft(writer, 'Attention', [input, packed, bias], { unidirectional });
        },
        { isSelf: true },
      );
      const { mask } = await assertSameAsRuntime(model);
      assert.deepEqual(mask?.shape, unidirectional === 1 ? [1, 1, tokens, tokens] : undefined);
    });
  }
  test('Attention with a constant bias of scores', () =>
    assertSameAsRuntime(
      modelOf(
        (writer, { input, weight }) => {
          const table = writer.float(normalArray(heads * tokens * tokens, 4), [1, heads, tokens, tokens]);
          const bias = writer.initializer('block.attn.bias', [3 * queryDim], new Float32Array(3 * queryDim));
          const packed = weight('to_qkv', queryDim, 3 * queryDim, 1);
          return microsoft(writer, 'Attention', [input, packed, bias, '', '', table]);
        },
        { isSelf: true },
      ),
    ));
  const integers = (writer, values, dims = [values.length]) =>
    writer.op('Cast', [writer.constant(values, { dims })], { to: 6 });
  /** Attention, whose input 3 is a mask of keys, and MultiHeadAttention, whose input 4 is one. */
  const masked = {
    Attention: (writer, { input, weight }, mask) => {
      const packed = weight('to_qkv', queryDim, 3 * queryDim, 1);
      return microsoft(writer, 'Attention', [input, packed, drawBias(writer, 3, 5), mask]);
    },
    MultiHeadAttention: (writer, { input, context, weight }, mask) => {
      const q = writer.op('MatMul', [input, weight('to_q', queryDim, queryDim, 1)]);
      const k = writer.op('MatMul', [context, weight('to_k', queryDim, queryDim, 2)]);
      const v = writer.op('MatMul', [context, weight('to_v', queryDim, queryDim, 3)]);
      return microsoft(writer, 'MultiHeadAttention', [q, k, v, drawBias(writer, 3, 5), mask]);
    },
  };
  const keyMask = Array.from({ length: batch * tokens }, (_, index) => (index % 3 === 1 ? 0 : 1));
  for (const [type, build] of Object.entries(masked)) {
    test(`${type} with a constant mask of keys`, async () => {
      const model = modelOf(
        (writer, values) => build(writer, values, integers(writer, keyMask, [batch, tokens])),
        { isSelf: true },
      );
      const { mask } = await assertSameAsRuntime(model);
      assert.deepEqual(mask.shape, [batch, 1, 1, tokens]);
    });
    test(`${type} with a mask of keys that is an input`, async () => {
      const model = modelOf(
        (writer, values) => {
          const given = writer.input('attention_mask', [batch, tokens], 'int64');
          return build(writer, values, writer.op('Cast', [given], { to: 6 }));
        },
        { isSelf: true },
      );
      const data = BigInt64Array.from(keyMask, BigInt);
      const { maskInputs } = await assertSameAsRuntime(model, {
        feeds: { attention_mask: { data, shape: [batch, tokens] } },
        mask: Tensor.from(keyMask, [batch, tokens]),
      });
      assert.deepEqual(maskInputs, ['attention_mask']);
    });
  }
  const drawBias = (writer, count, seed) => writer.float(normalArray(count * queryDim, seed));
  test('Attention with biases', () =>
    assertSameAsRuntime(
      modelOf(
        (writer, { input, weight }) => {
          const packed = weight('to_qkv', queryDim, 3 * queryDim, 1);
          return microsoft(writer, 'Attention', [input, packed, drawBias(writer, 3, 5)]);
        },
        { isSelf: true },
      ),
    ));
  for (const withMask of [false, true]) {
    test(`MultiHeadAttention with biases${withMask ? ' and a constant bias of scores' : ''}`, () =>
      assertSameAsRuntime(
        modelOf((writer, { input, context, weight }) => {
          const operands = [
            writer.op('MatMul', [input, weight('to_q', queryDim, queryDim, 1)]),
            writer.op('MatMul', [context, weight('to_k', contextDim, queryDim, 2)]),
            writer.op('MatMul', [context, weight('to_v', contextDim, queryDim, 3)]),
            drawBias(writer, 3, 6),
          ];
          const table = () =>
            writer.float(normalArray(heads * tokens * length, 4), [1, heads, tokens, length]);
          if (withMask) operands.push('', table());
          return microsoft(writer, 'MultiHeadAttention', operands);
        }),
      ));
  }
  test('MultiHeadAttention with a second bias of the operands is refused', () => {
    const { file } = modelOf((writer, { input, context, weight }) => {
      const q = writer.op('MatMul', [input, weight('to_q', queryDim, queryDim, 1)]);
      const operands = [
        writer.op('Add', [q, drawBias(writer, 1, 5)]),
        writer.op('MatMul', [context, weight('to_k', contextDim, queryDim, 2)]),
        writer.op('MatMul', [context, weight('to_v', contextDim, queryDim, 3)]),
      ];
      return microsoft(writer, 'MultiHeadAttention', [...operands, drawBias(writer, 3, 6)]);
    });
    assertThrows(() => fromOnnx(file), WeightsError, 'MultiHeadAttention', 'expected one bias');
  });
  test('biases are imported, and other inputs are refused', () => {
    const build = (more, attributes = {}) =>
      modelOf(
        (writer, { input, weight }) => {
          const packed = weight('to_qkv', queryDim, 3 * queryDim, 1);
          return microsoft(writer, 'Attention', [input, packed, ...more(writer)], attributes);
        },
        { isSelf: true },
      ).file;
    const bias = (writer) => [writer.float(new Float32Array(3 * queryDim).fill(1))];
    const [{ layer }] = fromOnnx(build(bias));
    const value = layer.getParameter('to_v.bias');
    assert.deepEqual(value.data(), new Float32Array(queryDim).fill(1));
    for (const owner of [layer, value]) owner.dispose();
    const lengths = (writer) => ['', integers(writer, [3, 4])];
    assertThrows(() => fromOnnx(build(lengths)), WeightsError, 'mask of keys of rank 1', '[B, L]');
    const short = (writer) => ['', integers(writer, [1, 0, 1, 1], [2, 2])];
    assertThrows(() => fromOnnx(build(short)), WeightsError, 'a mask of 2 keys', `expected ${tokens}`);
    assertThrows(() => fromOnnx(build(() => [], { do_rotary: 1 })), WeightsError, 'do_rotary');
    assertThrows(() => fromOnnx(build(() => [], { num_heads: 5 })), WeightsError, '5 heads');
  });
});

describe('the Attention operator of ai.onnx', () => {
  const build = (mask, { attributes = {}, dynamic = false } = {}) => {
    const writer = new GraphWriter({ opset: 23, irVersion: 11 });
    const sizes = dynamic ? ['batch', 'tokens', 'length'] : [batch, tokens, length];
    const input = writer.input('input', [sizes[0], sizes[1], queryDim]);
    const context = writer.input('context', [sizes[0], sizes[2], contextDim]);
    const project = (value, name, from, seed) =>
      writer.op('MatMul', [
        value,
        writer.initializer(name, [from, queryDim], drawWeight(queryDim, from, seed)),
      ]);
    const q = project(input, 'a.to_q.weight', queryDim, 1);
    const k = project(context, 'a.to_k.weight', contextDim, 2);
    const v = project(context, 'a.to_v.weight', contextDim, 3);
    const names = [q, k, v, ...(mask === null ? [] : [mask(writer)])];
    const attended = writer.op('Attention', names, {
      q_num_heads: heads,
      kv_num_heads: heads,
      ...attributes,
    });
    const output = project(attended, 'a.to_out.0.weight', queryDim, 4);
    writer.node('Identity', [output], { output: 'output' });
    writer.output('output', [sizes[0], sizes[1], queryDim]);
    return {
      file: Uint8Array.from(writer.encode()),
      batch,
      tokens,
      length,
      queryDim,
      contextDim,
      isSelf: false,
    };
  };
  const allowed = Array.from({ length: tokens * length }, (_, index) => (index % 3 === 0 ? 0 : 1));
  test('a constant mask of numbers', () =>
    assertSameAsRuntime(build((writer) => writer.float(normalArray(tokens * length, 5), [tokens, length]))));
  test('a constant mask of booleans', () =>
    assertSameAsRuntime(build((writer) => writer.booleans(allowed, [tokens, length]))));
  for (const dynamic of [false, true]) {
    test(`operands [B, heads, N, channels], with biases and a scale, ${dynamic ? 'dynamic' : 'static'}`, () =>
      assertSameAsRuntime(
        modelOf(
          (writer, { input, context, weight }) => {
            const project = (name, value, from, seed) =>
              splitHeads(
                writer,
                writer.op('Add', [
                  writer.op('MatMul', [value, weight(name, from, queryDim, seed)]),
                  writer.float(normalArray(queryDim, seed)),
                ]),
              );
            const operands = [
              project('to_q', input, queryDim, 1),
              project('to_k', context, contextDim, 2),
              project('to_v', context, contextDim, 3),
            ];
            const sum = writer.op('Attention', operands, { scale: { float: 0.3 } });
            const rows = writer.op('Transpose', [sum], { perm: [0, 2, 1, 3] });
            return writer.op('Reshape', [rows, writer.integers(0, -1, queryDim)]);
          },
          { dynamic, opset: 23, irVersion: 11 },
        ),
      ));
  }
  test('is_causal with fixed sizes', async () => {
    const { mask } = await assertSameAsRuntime(build(null, { attributes: { is_causal: 1 } }));
    assert.deepEqual(mask.shape, [1, 1, tokens, length]);
    const { file } = build(null, { attributes: { is_causal: 1 }, dynamic: true });
    assertThrows(() => fromOnnx(file), WeightsError, 'causal', 'run time');
  });
});
