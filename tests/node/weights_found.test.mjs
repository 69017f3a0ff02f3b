// Weight files as they are found: 8-bit weights with scales, 1×1 convolutions, other prefixes and names.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { DisposedError, memoryInUse, Tensor, WeightFile, WeightsError } from '../support/package.mjs';
import { assembleFile, writeSafetensors } from '../support/safetensors.mjs';
import { fileTensors, makeLayer, names, shapes } from '../support/small_layer.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

/** Returns a file of tensors {name: {dtype, shape, bytes}}. */
function rawFile(tensors) {
  const header = {};
  const bytes = [];
  for (const [name, { dtype, shape, bytes: own }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [bytes.length, bytes.length + own.length] };
    bytes.push(...own);
  }
  return assembleFile(header, Uint8Array.from(bytes));
}

const float32 = (shape, ...values) => ({
  dtype: 'F32',
  shape,
  bytes: [...new Uint8Array(Float32Array.from(values).buffer)],
});
/** 1, 1.125, 1.25, … in E4M3. */
const code = (row, column) => 0x38 + ((row + column) & 7);
const valueOf = (row, column) => 1 + ((row + column) & 7) / 8;

/** The layer's tensors with to_q.weight in 8 bits, and others. */
function fileOf(more, dtype = 'F8_E4M3') {
  const tensors = Object.fromEntries(
    names.map((name, index) => {
      const size = shapes[index].reduce((a, b) => a * b, 1);
      return [name, float32(shapes[index], ...new Array(size).fill(0.5))];
    }),
  );
  const bytes = Array.from({ length: 36 }, (_, index) => code(Math.floor(index / 6), index % 6));
  tensors['to_q.weight'] = { dtype, shape: [6, 6], bytes };
  return rawFile({ ...tensors, ...more });
}

/** Loads a file both ways and returns to_q.weight. */
async function load(file, options) {
  return scoped(async (own) => {
    const layer = makeLayer(own);
    const result = layer.loadWeights(file, options);
    assert.deepEqual([result.loadedCount, result.skippedCount >= 0], [5, true]);
    const other = makeLayer(own, { dtype: 'float64' });
    await other.loadWeightsFrom(await WeightFile.open(file), options);
    const values = [...own(layer.getParameter('to_q.weight')).data()];
    const wide = [...own(other.getParameter('to_q.weight')).data()];
    wide.forEach((value, index) => assert.equal(Math.fround(value), values[index]));
    return values;
  });
}

const expected = (scaleOf) =>
  Array.from({ length: 36 }, (_, index) => {
    const row = Math.floor(index / 6);
    return Math.fround(valueOf(row, index % 6) * scaleOf(row));
  });

describe('8-bit weights', () => {
  const scale = Math.fround(0.3);
  const rows = [1, 2, 3, 4, 5, 6].map((row) => row / 7).map(Math.fround);
  test('without a scale', async () =>
    assert.deepEqual(
      await load(fileOf({})),
      expected(() => 1),
    ));

  for (const name of ['to_q.weight_scale', 'to_q.scale_weight']) {
    for (const shape of [[], [1], [1, 1]]) {
      test(`${name} of shape [${shape}]`, async () => {
        const values = await load(fileOf({ [name]: float32(shape, scale) }));
        assert.deepEqual(
          values,
          expected(() => scale),
        );
      });
    }
    for (const shape of [[6], [6, 1]]) {
      test(`${name} of shape [${shape}]: one for each row`, async () => {
        const values = await load(fileOf({ [name]: float32(shape, ...rows) }));
        assert.deepEqual(
          values,
          expected((row) => rows[row]),
        );
      });
    }
  }

  test('other prefixes, and factors of the input, which are not needed', async () => {
    const file = fileOf({
      'to_q.input_scale': float32([], 9),
      'to_q.scale_weight': float32([], 2),
      'to_q.scale_input': float32([1], 9),
    });
    assert.deepEqual(
      await load(file),
      expected(() => 2),
    );
  });

  test('scales that fit nothing are a WeightsError that names them, strict or not', () =>
    scoped(async (own) => {
      const layer = makeLayer(own);
      const before = layer.getParameters();
      const bytes = [0, 0, 0, 0, 0, 0];
      const cases = {
        'to_q.weight_scale': [
          float32([2], 1, 2),
          float32([1, 6], 1, 2, 3, 4, 5, 6),
          float32([6, 2], ...new Array(12).fill(1)),
          { dtype: 'F8_E8M0', shape: [6], bytes },
          { dtype: 'U8', shape: [6], bytes },
        ],
        'to_q.weight_scale_inv': [float32([], 1)],
        'to_q.weight_scale_2': [float32([], 1)],
        'to_q.weight_zero_point': [float32([], 1)],
        'to_q.weight.absmax': [float32([], 1)],
      };
      for (const [name, scales] of Object.entries(cases)) {
        for (const wrong of scales) {
          const file = fileOf({ [name]: wrong });
          assertThrows(() => layer.loadWeights(file, { strict: false }), WeightsError, name);
          assertThrows(() => layer.loadWeights(file), WeightsError, name);
          const open = await WeightFile.open(file);
          await assertRejects(() => layer.loadWeightsFrom(open, { strict: false }), WeightsError, name);
        }
      }
      const both = fileOf({ 'to_q.weight_scale': float32([], 1), 'to_q.scale_weight': float32([], 1) });
      assertThrows(() => layer.loadWeights(both), WeightsError, 'weight_scale', 'scale_weight');
      assert.deepEqual(layer.getParameters(), before);
    }));
});

describe('shapes', () => {
  const convolutions = () =>
    fileTensors(
      Object.fromEntries(
        Object.entries(fileTensors())
          .filter(([, { shape }]) => shape.length === 2)
          .map(([name, tensor]) => [name, { ...tensor, shape: [...tensor.shape, 1, 1] }]),
      ),
    );

  test('a 1×1 convolution [out, in, 1, 1] loads from files and tensors', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      assert.equal(layer.loadWeights(writeSafetensors(convolutions())).loadedCount, 5);
      assert.equal(layer.getParameters()[0], 1);
      const tensors = Object.entries(convolutions()).map(([name, { shape, values }]) => [
        name,
        own(Tensor.from(values, shape)),
      ]);
      assert.equal(layer.loadWeights(new Map(tensors)).loadedCount, 5);
      assert.equal(layer.validateWeights(new Map(tensors)).isValid, true);
    }));

  test('other convolutions do not', () =>
    scoped((own) => {
      for (const shape of [
        [6, 4, 3, 3],
        [6, 4, 1, 2],
        [1, 1, 6, 4],
        [4, 6, 1, 1],
        [6, 4, 1, 1, 1],
      ]) {
        const values = new Array(shape.reduce((a, b) => a * b, 1)).fill(0);
        const file = writeSafetensors(fileTensors({ 'to_k.weight': { dtype: 'F32', shape, values } }));
        assertThrows(() => makeLayer(own).loadWeights(file), WeightsError, 'to_k.weight', '[6, 4]');
      }
    }));
});

describe('prefixes', () => {
  const block = (index) => `down_blocks.${index}.attentions.0.transformer_blocks.0.attn2.`;
  const many = () =>
    writeSafetensors(
      Object.assign({}, ...Array.from({ length: 32 }, (_, index) => fileTensors({}, block(index)))),
    );

  test('the final dot may be left out', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const prefix = block(3).slice(0, -1);
      assert.equal(layer.loadWeights(many(), { prefix }).loadedCount, 5);
      // Names that continue otherwise are others.
      const file = writeSafetensors({ ...fileTensors({}, 'a.b.'), ...fileTensors({}, 'a.b2.') });
      assert.equal(layer.loadWeights(file, { prefix: 'a.b' }).loadedCount, 5);
      // A prefix that has no dot, and one whose mapping expects the dot.
      const flat = writeSafetensors(fileTensors({}, 'lora_unet_'));
      assert.equal(layer.loadWeights(flat, { prefix: 'lora_unet_' }).loadedCount, 5);
      const mapping = (name) => (name[0] === '.' ? name.slice(1) : null);
      assert.equal(layer.loadWeights(file, { prefix: 'a.b', mapping }).loadedCount, 5);
    }));

  test('a wrong prefix: the message lists those of the file', () =>
    scoped(async (own) => {
      const layer = makeLayer(own);
      for (const prefix of ['', 'down_blocks.', 'mid_block.', 'down_blocks.0.attentions.0']) {
        const { message } = assertThrows(() => layer.loadWeights(many(), { prefix }), WeightsError);
        assert.match(message, /missing .*to_q\.weight/);
        assert.ok(
          message.includes(`the file has attention weights under these prefixes: ${block(0)}`),
          message,
        );
        assert.match(message, /\(and 29 more\)/);
        assert.ok(message.length < 900, `${message.length}`);
      }
      const file = await WeightFile.open(many());
      await assertRejects(() => layer.loadWeightsFrom(file, { prefix: 'x' }), WeightsError, block(0));
    }));

  test('those that fit the layer come first', () =>
    scoped((own) => {
      const square = (name) => [name, { dtype: 'F32', shape: [6, 6], values: new Array(36).fill(0) }];
      const self = Object.fromEntries(['q', 'k', 'v'].map((letter) => square(`x.attn1.to_${letter}.weight`)));
      const file = writeSafetensors({ ...self, ...fileTensors({}, 'x.attn2.') });
      const { message } = assertThrows(() => makeLayer(own).loadWeights(file), WeightsError);
      assert.match(message, /prefixes: x\.attn2\., x\.attn1\.$/);
    }));

  test("LDM's names", () =>
    scoped((own) => {
      const prefix = 'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.';
      const file = writeSafetensors(fileTensors({}, prefix));
      assertThrows(() => makeLayer(own).loadWeights(file, { prefix: block(0) }), WeightsError, prefix);
    }));

  test('a file without attention says so', () =>
    scoped((own) => {
      const file = writeSafetensors({ 'conv.weight': { dtype: 'F32', shape: [1], values: [1] } });
      assertThrows(() => makeLayer(own).loadWeights(file), WeightsError, 'no attention weights');
    }));

  test('messages are short, whatever the names', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const one = { dtype: 'F32', shape: [1], values: [1] };
      const thousands = Object.fromEntries(
        Array.from({ length: 5000 }, (_, index) => [`extra.${index}`, one]),
      );
      const long = 'x'.repeat(100_000);
      const files = [
        fileTensors(thousands),
        thousands,
        fileTensors({ [long]: one }),
        { [`${long}.to_q.weight`]: one },
        fileTensors({ 'to_q.weight': { dtype: 'F32', shape: [1, 1, 1, 1, 1, 1, 1, 1, 1], values: [1] } }),
      ];
      for (const tensors of files) {
        const { message } = assertThrows(() => layer.loadWeights(writeSafetensors(tensors)), WeightsError);
        assert.ok(message.length < 900, `${message.length}: ${message.slice(0, 200)}`);
      }
      assert.equal(layer.validateWeights(Object.keys(thousands)).unmatchedWeights.length, 5000);
    }));
});

test('a mapping that disposes a tensor is a DisposedError, and changes nothing', () =>
  scoped((own) => {
    const layer = makeLayer(own);
    const before = layer.getParameters();
    const tensors = new Map(names.map((name, index) => [name, own(Tensor.zeros(shapes[index]))]));
    const mapping = (name) => {
      if (name === 'to_out.0.bias') tensors.get('to_q.weight').dispose();
      return name;
    };
    assertThrows(() => layer.loadWeights(tensors, { mapping }), DisposedError, 'to_q.weight');
    assert.deepEqual(layer.getParameters(), before);
  }));
