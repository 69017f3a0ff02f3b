// LoRA files: all spellings of names, prefixes of modules, and files that are refused.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { loraFile, loraTensors, projections, spellings } from '../support/lora_file.mjs';
import { DiffusionCrossAttention, memoryInUse, WeightFile, WeightsError } from '../support/package.mjs';
import { writeSafetensors } from '../support/safetensors.mjs';
import { unetLayers } from '../support/unet_file.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const size = 4;
const makeLayer = (own) => {
  const layer = own(new DiffusionCrossAttention(size, size, 2, 8, { seed: 1 }));
  layer.setParameters(new Float32Array(layer.parameterCount));
  return layer;
};
/** The issue's example: W'[1][0] = 1. */
const update = { down: [[1, 0, 0, 0]], up: [[0], [2], [0], [0]], alpha: 0.5 };
const attn2 = 'down_blocks.0.attentions.0.transformer_blocks.0.attn2';
const attn1 = 'up_blocks.1.attentions.2.transformer_blocks.0.attn1';

/** Asserts that the effective weights of these projections have 1 in row 1, column 0, and zeros else. */
function assertExample(layer, updated) {
  layer.mergeLoras();
  const parameters = layer.getParameters();
  const expected = new Float32Array(parameters.length);
  for (const name of updated) expected[projections.indexOf(name) * size * size + size] = 1;
  assertSameBits(parameters, expected, 'effective weights');
}

describe('spellings', () => {
  for (const spelling of Object.keys(spellings)) {
    for (const convolution of [false, true]) {
      test(`${spelling}${convolution ? ', 1×1 convolutions' : ''}`, () =>
        scoped(async (own) => {
          for (const path of ['', attn2]) {
            const tensors = projections.map((name) =>
              loraTensors(spelling, path, name, update, { convolution }),
            );
            const layer = makeLayer(own);
            const result = layer.loadLora('a', loraFile(...tensors));
            assert.deepEqual(result, {
              updated: projections.map((name) => `${name}.weight`),
              ignored: [],
              rank: Object.fromEntries(projections.map((name) => [`${name}.weight`, 1])),
            });
            assertExample(layer, projections);
          }
          const others = [attn1, attn2.replace('attn2', 'attn1')].flatMap((path) =>
            projections.map((name) => loraTensors(spelling, path, name, update, { convolution })),
          );
          const own2 = ['to_k', 'to_v'].map((name) =>
            loraTensors(spelling, attn2, name, update, { convolution }),
          );
          const conv = {
            'down_blocks.0.resnets.0.conv1.lora_A.weight': { dtype: 'F32', shape: [1], values: [1] },
          };
          const file = loraFile(...others, ...own2, conv);
          const selected = spellings[spelling](attn2, 'to_q').down;
          const own3 = selected.slice(0, selected.lastIndexOf('to_q'));
          for (const prefix of [`${attn2}.`, attn2, `unet.${attn2}.`, own3]) {
            const layer = makeLayer(own);
            const opened = await WeightFile.open(file);
            const result = await layer.loadLoraFrom('a', opened, { prefix });
            opened.close();
            assert.deepEqual(result, makeLayer(own).loadLora('b', file, { prefix }));
            assert.deepEqual(result.updated, ['to_k.weight', 'to_v.weight']);
            assert.deepEqual(
              [...result.ignored].sort(),
              Object.keys(Object.assign({}, ...others, conv)).sort(),
            );
            assertExample(layer, ['to_k', 'to_v']);
          }
        }));
    }
  }
});

describe('modules', () => {
  test('all attentions of Stable Diffusion 1 and XL by the numbers of LDM', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const sdxl = [
        ...[1, 2].flatMap((block) => [0, 1].map((index) => `down_blocks.${block}.attentions.${index}`)),
        'mid_block.attentions.0',
        ...[0, 1].flatMap((block) => [0, 1, 2].map((index) => `up_blocks.${block}.attentions.${index}`)),
      ].map((block, index) => `${block}.transformer_blocks.${index}.attn2`);
      const paths = [...new Set([...unetLayers().map(({ prefix }) => prefix.slice(0, -1)), ...sdxl])];
      const tensors = paths.map((path) => loraTensors('kohya, LDM blocks', path, 'to_q', update));
      assert.equal(new Set(tensors.flatMap((each) => Object.keys(each))).size, 3 * paths.length);
      const file = loraFile(...tensors);
      paths.forEach((path, index) => {
        const { ignored } = layer.loadLora(path, file, { prefix: `${path}.` });
        assert.deepEqual(
          ignored,
          tensors.filter((_, other) => other !== index).flatMap((each) => Object.keys(each)),
        );
        layer.removeLora(path);
      });
    }));

  const numbers = {
    input_blocks_1_1: 'down_blocks.0.attentions.0',
    input_blocks_5_1: 'down_blocks.1.attentions.1',
    input_blocks_7_1: 'down_blocks.2.attentions.0',
    middle_block_1: 'mid_block.attentions.0',
    output_blocks_0_1: 'up_blocks.0.attentions.0',
    output_blocks_5_1: 'up_blocks.1.attentions.2',
    output_blocks_11_1: 'up_blocks.3.attentions.2',
  };
  test('some of them, as diffusers maps them', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      for (const [ldm, path] of Object.entries(numbers)) {
        const rest = '_transformer_blocks_1_attn2_';
        const tensors = loraTensors('kohya', `${ldm}${rest}`.slice(0, -1), 'to_q', update);
        const prefix = `${path}.transformer_blocks.1.attn2.`;
        assert.deepEqual(layer.loadLora(ldm, loraFile(tensors), { prefix }).updated, ['to_q.weight']);
      }
    }));

  test('a file of several attentions requires a prefix, which the message lists', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const file = loraFile(
        loraTensors('kohya', attn1, 'to_q', { down: [[1, 2]], up: [[1], [1]] }),
        loraTensors('kohya', attn2, 'to_q', update),
      );
      const fitting = `lora_unet_${attn2.replaceAll('.', '_')}_`;
      for (const prefix of [undefined, '', 'nowhere.']) {
        const { message } = assertThrows(
          () => layer.loadLora('a', file, { prefix }),
          WeightsError,
          fitting,
          'lora_unet_up_blocks',
        );
        assert.ok(message.indexOf(fitting) < message.indexOf('lora_unet_up'), 'expected what fits first');
      }
      assert.deepEqual(layer.loras, []);
    }));

  test('an attention that the file leaves as it is', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const file = loraFile(loraTensors('PEFT', attn1, 'to_q', update));
      const result = layer.loadLora('a', file, { prefix: `${attn2}.` });
      assert.deepEqual([result.updated, result.ignored.length, layer.loras], [[], 3, ['a']]);
      assertExample(layer, []);
    }));

  test('a prefix that is no path', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const tensors = loraTensors('PEFT', '', 'to_q', update);
      const file = loraFile(
        Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`layer/${name}`, tensor])),
        loraTensors('PEFT', attn1, 'to_q', update),
      );
      assert.deepEqual(layer.loadLora('a', file, { prefix: 'layer/' }).updated, ['to_q.weight']);
      assertExample(layer, ['to_q']);
    }));

  test('weights of the model in the same file are reported', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const more = [
        ...['to_q.base_layer.weight', 'to_q.weight', 'to_out.0.bias', 'to_k_ip.weight'],
        ...['to_q_custom.weight', 'lora_te_text_q_proj.alpha'],
      ];
      const file = loraFile(
        Object.fromEntries(more.map((name) => [name, { dtype: 'F32', shape: [1], values: [1] }])),
        loraTensors('PEFT', '', 'to_q', update),
      );
      assert.deepEqual(layer.loadLora('a', file).ignored, more);
    }));
});

describe('files that are refused, with nothing changed', () => {
  const tensor = (shape, dtype = 'F32') => ({
    dtype,
    shape,
    values: new Array(shape.reduce((a, b) => a * b, 1)).fill(1),
  });
  const valid = loraTensors('PEFT', '', 'to_q', update);
  const without = (name) => Object.fromEntries(Object.entries(valid).filter(([key]) => key !== name));
  const cases = {
    LoHa: [{ ...valid, 'to_k.hada_w1_a': tensor([4, 1]) }, 'LoHa', 'to_k.hada_w1_a'],
    LoKr: [{ 'to_k.lokr_w1': tensor([2, 2]), 'to_k.lokr_w2': tensor([2, 2]) }, 'LoKr'],
    'DoRA of PEFT': [{ ...valid, 'to_q.lora_magnitude_vector': tensor([4]) }, 'DoRA'],
    'DoRA of PEFT with an adapter': [
      { ...valid, 'to_q.lora_magnitude_vector.default.weight': tensor([4]) },
      'DoRA',
    ],
    'DoRA of kohya': [{ ...valid, 'lora_unet_to_q.dora_scale': tensor([4, 1]) }, 'DoRA'],
    'a core tensor': [{ ...valid, 'to_q.lora_mid.weight': tensor([1, 1, 1, 1]) }, 'core tensor'],
    OFT: [{ 'to_q.oft_blocks': tensor([2, 2, 2]) }, 'OFT'],
    'a full difference': [{ 'to_q.diff': tensor([4, 4]) }, 'full difference'],
    'a bias': [{ ...valid, 'to_q.lora_B.bias': tensor([4]) }, 'bias'],
    'a new kind': [{ ...valid, 'to_q.vera_lambda_b': tensor([4]) }, 'to_q.vera_lambda_b'],
    'a fused projection': [{ ...valid, 'to_qkv.lora_A.weight': tensor([1, 4]) }, 'to_qkv'],
    'no up': [without('to_q.lora_B.weight'), 'no up matrix', 'to_q'],
    'no down': [without('to_q.lora_A.weight'), 'no down matrix', 'to_q'],
    'an alpha alone': [{ ...valid, 'to_v.alpha': tensor([]) }, 'to_v.alpha'],
    'other input features': [{ ...valid, 'to_q.lora_A.weight': tensor([1, 5]) }, '[1, 5]', '[rank, 4]'],
    'other output features': [{ ...valid, 'to_q.lora_B.weight': tensor([5, 1]) }, '[5, 1]', '[4, 1]'],
    'other ranks': [{ ...valid, 'to_q.lora_B.weight': tensor([4, 2]) }, '[4, 2]', '[4, 1]'],
    'rank 0': [{ 'to_q.lora_A.weight': tensor([0, 4]), 'to_q.lora_B.weight': tensor([4, 0]) }, '[0, 4]'],
    'a convolution of 3×3': [{ ...valid, 'to_q.lora_A.weight': tensor([1, 4, 3, 3]) }, '[1, 4, 3, 3]'],
    'a vector': [{ ...valid, 'to_q.lora_A.weight': tensor([4]) }, '[4]'],
    integers: [{ ...valid, 'to_q.lora_A.weight': tensor([1, 4], 'U8') }, 'U8'],
    'an alpha of two numbers': [{ ...valid, 'to_q.alpha': tensor([2]) }, 'to_q.alpha', '[2]'],
    'an alpha of NaN': [{ ...valid, 'to_q.alpha': { ...tensor([]), values: [NaN] } }, 'NaN'],
    'two spellings of one': [{ ...valid, ...loraTensors('kohya', '', 'to_q', update) }, 'both'],
    'two adapters': [{ ...valid, 'to_q.lora_A.b.weight': tensor([1, 4]) }, 'both'],
    'no LoRA': [{ 'to_q.weight': tensor([4, 4]) }, 'no LoRA'],
    nothing: [{}, 'no LoRA'],
  };
  for (const [name, [tensors, ...parts]] of Object.entries(cases)) {
    test(name, () =>
      scoped((own) => {
        const layer = makeLayer(own);
        layer.loadLora('before', loraFile(valid));
        const inUse = memoryInUse();
        assertThrows(() => layer.loadLora('a', writeSafetensors(tensors)), WeightsError, ...parts);
        assert.deepEqual([layer.loras, memoryInUse()], [['before'], inUse]);
        assertExample(layer, ['to_q']);
      }),
    );
  }
});

test('random names', () =>
  scoped((own) => {
    const layer = makeLayer(own);
    const words = [
      ...['to_q', 'to_k', 'to_out', 'to_out.0', 'to_qkv', 'lora', 'lora_A', 'lora_B', 'lora_down', 'lora_up'],
      ...[
        'down',
        'up',
        'weight',
        'alpha',
        'processor',
        'unet',
        'lora_unet',
        'input_blocks',
        'attn2',
        '1',
        '4',
      ],
      ...['middle_block', 'default', 'bias', 'hada_w1_a', 'dora_scale', '__proto__', 'constructor', '\n', ''],
    ];
    const name = fc.oneof(
      fc
        .array(fc.tuple(fc.constantFrom(...words), fc.constantFrom('.', '_', '')), { maxLength: 9 })
        .map((parts) => parts.flat().join('')),
      fc.string({ unit: 'binary', maxLength: 30 }),
    );
    const shape = fc.constantFrom([1, 4], [4, 1], [], [1], [4, 4], [1, 4, 1, 1]);
    const file = fc.dictionary(name, shape, { maxKeys: 8 });
    const prefix = fc.oneof(fc.constantFrom(undefined, '', `${attn2}.`), name);
    let loaded = 0;
    fc.assert(
      fc.property(file, prefix, (shapes, chosen) => {
        const names = Object.keys(shapes);
        // A name of the format's own.
        fc.pre(!names.includes('__metadata__'));
        const tensors = Object.fromEntries(
          names.map((key) => [
            key,
            {
              dtype: 'F32',
              shape: shapes[key],
              values: new Array(shapes[key].reduce((a, b) => a * b, 1)).fill(1),
            },
          ]),
        );
        let result;
        try {
          result = layer.loadLora(
            'a',
            writeSafetensors({ ...tensors, ...loraTensors('PEFT', attn2, 'to_v', update) }),
            {
              prefix: chosen,
            },
          );
        } catch (error) {
          if (!(error instanceof WeightsError)) throw error;
          assert.deepEqual(layer.loras, []);
          return;
        }
        loaded++;
        // Each update has two or three tensors; every other tensor is reported.
        const used = new Set([...names, ...Object.keys(loraTensors('PEFT', attn2, 'to_v', update))]).size;
        const perUpdate = (used - result.ignored.length) / Math.max(1, result.updated.length);
        assert.ok(result.updated.length === 0 ? perUpdate === 0 : perUpdate >= 2 && perUpdate <= 3);
        layer.removeLora('a');
      }),
      runs(isFullRun ? 3000 : 300),
    );
    assert.ok(loaded > 30, `${loaded} files were loaded`);
  }));

test('long names take time in proportion to their length', () =>
  scoped((own) => {
    const layer = makeLayer(own);
    const start = process.cpuUsage();
    for (const piece of [
      'to_q.',
      'to_q.lora_',
      'unet.',
      'lycoris_',
      '.',
      '_',
      'processor.',
      'input_blocks_1_1_',
    ]) {
      const name = piece.repeat(2 ** 21 / piece.length);
      for (const tail of ['', 'to_q.lora_A.weight', '\n']) {
        const file = writeSafetensors({ [name + tail]: { dtype: 'F32', shape: [1], values: [1] } });
        assertThrows(() => layer.loadLora('a', file), WeightsError);
      }
    }
    const { user } = process.cpuUsage(start);
    // 1 s here; with quadratic time it would be hours.
    assert.ok(user < 30e6, `${user / 1e6} s`);
  }));
