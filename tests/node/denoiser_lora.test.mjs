// Tests of LoRA files: names as in diffusers, round trips with the same bits, and files that loadLora
// refuses.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits, worstDifference } from '../support/compare.mjs';
import {
  ArgumentError,
  Denoiser,
  expectNoMemoryAfterEach,
  saveFloat32,
  samplePicture,
} from '../support/denoiser.mjs';
import { editFile, randomFile, randomModel, smallOptions, WeightsError } from '../support/denoiser.mjs';
import { fineTunerOptions, fineTune, word } from '../support/denoiser_fine_tuning.mjs';
import { assertThrows } from '../support/errors.mjs';
import { parseSafetensors } from '../support/safetensors.mjs';

expectNoMemoryAfterEach();

const known = { prompt: 'a red circle' };
const withNewWord = { prompt: `a ${word} above a star` };

/** A fine-tuned model, its picture before fine-tuning, and its LoRA file. */
function fineTunedModel(own) {
  const model = randomModel(own);
  const before = samplePicture(model, known);
  fineTune(model, 3, { learningRate: 0.02 });
  return { model, before, file: model.saveLora() };
}

test('saveLora uses the names of diffusers and includes four weights of each attention', () =>
  scoped((own) => {
    const model = randomModel(own);
    fineTune(model, 1, { rank: 3 });
    const { tensors, metadata } = parseSafetensors(model.saveLora());
    assert.equal(metadata.format, 'pt');
    const expected = new Map();
    for (const attention of ['attn2', 'attn1']) {
      for (const block of [0, 1]) {
        for (const weight of ['to_q', 'to_k', 'to_v', 'to_out.0']) {
          const name = `transformer.transformer_blocks.${block}.${attention}.${weight}`;
          expected.set(`${name}.lora_A.weight`, [3, 32]);
          expected.set(`${name}.lora_B.weight`, [32, 3]);
        }
      }
    }
    expected.set(`text.embedding.words.${word}`, [32]);
    assert.deepEqual(new Map([...tensors].map(([name, { shape }]) => [name, shape])), expected);
    for (const [name, { dtype, values }] of tensors) {
      assert.equal(dtype, 'F32');
      // B starts as zeros; a step changes every update.
      assert.ok(
        values.some((value) => value !== 0),
        name,
      );
    }
  }));

describe('loadLora', () => {
  test('gives a denoiser with the same weights the same picture (same bits) and returns the words', () =>
    scoped((own) => {
      const { model, file } = fineTunedModel(own);
      const other = randomModel(own);
      assertThrows(() => other.sampler(withNewWord), ArgumentError, `'${word}'`);
      for (const bytes of [file, new Uint8Array(file).buffer])
        assert.deepEqual(other.loadLora(bytes), [word]);
      assert.equal(other.vocabulary.at(-1), word);
      for (const options of [known, withNewWord]) {
        assertSameBits(samplePicture(other, options), samplePicture(model, options), options.prompt);
      }
      assert.deepEqual(other.saveLora(), file);
      assert.deepEqual(saveFloat32(other), saveFloat32(model));
    }));

  test('fine-tuning can continue after it', () =>
    scoped((own) => {
      const { model, file } = fineTunedModel(own);
      const other = randomModel(own);
      other.loadLora(file);
      assert.deepEqual(fineTune(other, 2), fineTune(model, 2));
      assert.deepEqual(other.saveLora(), model.saveLora());
    }));

  test('replaces earlier updates; their words remain known', () =>
    scoped((own) => {
      const { file } = fineTunedModel(own);
      const model = randomModel(own);
      fineTune(model, 2, { word: 'drop', captions: new Array(4).fill('a drop') });
      model.loraScale = 0.5;
      assert.deepEqual(model.loadLora(file), [word]);
      assert.equal(model.loraScale, 1);
      assert.deepEqual(model.saveLora(), file);
      assert.deepEqual(model.vocabulary.slice(-2), ['drop', word]);
      const other = randomModel(own);
      other.loadLora(file);
      assertSameBits(samplePicture(model, withNewWord), samplePicture(other, withNewWord), 'the picture');
    }));
});

describe('loraScale', () => {
  test('0 and unloadLora restore the picture of known words (same bits)', () =>
    scoped((own) => {
      const { model, before } = fineTunedModel(own);
      const learned = samplePicture(model, known);
      assert.ok(worstDifference(learned, before).difference > 1e-4, 'fine-tuning has an effect');
      assert.equal(model.loraScale, 1);
      model.loraScale = 0;
      assertSameBits(samplePicture(model, known), before, 'loraScale 0');
      model.loraScale = 1;
      assertSameBits(samplePicture(model, known), learned, 'loraScale 1');
      model.unloadLora();
      assertSameBits(samplePicture(model, known), before, 'unloadLora');
      assert.ok(model.vocabulary.includes(word), 'the word remains known');
      samplePicture(model, withNewWord);
      model.unloadLora();
      assertThrows(() => model.saveLora(), ArgumentError, 'LoRA', 'loadLora');
      assertThrows(() => (model.loraScale = 1), ArgumentError, 'LoRA', 'loadLora');
    }));

  test('scales the effect; values may be negative or above 1', () =>
    scoped((own) => {
      const { model, before } = fineTunedModel(own);
      const changeOf = (scale) => {
        model.loraScale = scale;
        assert.equal(model.loraScale, scale);
        return worstDifference(samplePicture(model, { ...known, steps: 1 }), plain).difference;
      };
      model.loraScale = 0;
      const plain = samplePicture(model, { ...known, steps: 1 });
      const [half, whole, twice, negative] = [0.5, 1, 2, -1].map(changeOf);
      assert.ok(
        0 < half && half < whole && whole < twice && negative > 0,
        `${[half, whole, twice, negative]}`,
      );
      for (const wrong of [NaN, Infinity, '1', null, undefined]) {
        assertThrows(() => (model.loraScale = wrong), ArgumentError, 'loraScale', 'finite');
      }
      assert.equal(model.loraScale, -1);
      model.loraScale = 0;
      assertSameBits(samplePicture(model, known), before, 'the picture');
    }));

  test('changes end existing samplers', () =>
    scoped((own) => {
      const { model } = fineTunedModel(own);
      const changes = {
        loraScale: () => (model.loraScale = 0.5),
        unloadLora: () => model.unloadLora(),
      };
      for (const [name, change] of Object.entries(changes)) {
        const sampler = own(model.sampler(known));
        sampler.advance();
        change();
        assertThrows(() => sampler.advance(), ArgumentError, 'denoiser');
        assert.equal(sampler.step, 1, name);
      }
    }));
});

describe('loadLora throws WeightsError if the file does not match, and changes nothing', () => {
  const name = 'transformer.transformer_blocks.1.attn2.to_k.lora_A.weight';
  /** Renames a tensor; both names must have the same length. */
  function renameTensor(file, from, to) {
    assert.equal(from.length, to.length);
    const changed = file.slice();
    const offset = Buffer.from(changed).indexOf(`"${from}"`);
    assert.ok(offset > 0, from);
    changed.set(Buffer.from(to), offset + 1);
    return changed;
  }

  const reshaped = (tensor) => ({
    ...tensor,
    shape: [tensor.shape[0], tensor.shape[1] - 1],
    values: tensor.values.subarray(0, tensor.shape[0] * (tensor.shape[1] - 1)),
  });
  const only = (changedName, change) => (file) =>
    editFile(file, (tensorName, tensor) => (tensorName === changedName ? change(tensor) : tensor));

  /** Invalid files: a function that corrupts a valid file, and parts of the error message. */
  const corruptions = {
    truncated: [(file) => file.subarray(0, file.length - 10), 'tensor'],
    empty: [() => new Uint8Array(0), 'file'],
    'not a safetensors file': [() => new Uint8Array(1000).fill(7), 'file'],
    'with a missing tensor': [only(name, () => undefined), name],
    'with a tensor of another shape': [only(name, reshaped), name, '[4, 31]', '[4, 32]'],
    'with a tensor of another name': [
      (file) => renameTensor(file, name, name.replace('lora_A', 'lora_C')),
      name,
    ],
    'with an embedding of another length': [
      only(`text.embedding.words.${word}`, (tensor) => ({
        ...tensor,
        shape: [31],
        values: tensor.values.subarray(1),
      })),
      word,
      '[31]',
      '[32]',
    ],
    'with an invalid word': [
      (file) => renameTensor(file, `text.embedding.words.${word}`, 'text.embedding.words.b ob'),
      'b ob',
      'word',
    ],
    'of a whole model': [() => randomFile(), /low-rank|LoRA/],
  };

  function assertRefusesFiles(own, model) {
    const { file } = fineTunedModel(own);
    for (const [corrupt, ...parts] of Object.values(corruptions)) {
      assertThrows(() => model.loadLora(corrupt(file)), WeightsError, ...parts);
    }
    for (const [options, ...parts] of [
      [{ blocks: 3 }, 'tensors'],
      [{ features: 64 }, 'shape'],
    ]) {
      const other = own(Denoiser.create({ ...smallOptions, ...options }));
      fineTune(other, 1, { batch: 1 });
      assertThrows(() => model.loadLora(other.saveLora()), WeightsError, ...parts);
    }
    for (const wrong of [undefined, null, 'file', 5, [1, 2]]) {
      assertThrows(() => model.loadLora(wrong), ArgumentError, 'file', 'Uint8Array');
    }
  }

  test('of a model without updates', () =>
    scoped((own) => {
      const model = randomModel(own);
      const before = samplePicture(model, known);
      const vocabulary = model.vocabulary;
      assertRefusesFiles(own, model);
      assertSameBits(samplePicture(model, known), before, 'the picture');
      assert.deepEqual(model.vocabulary, vocabulary);
      assertThrows(() => model.saveLora(), ArgumentError, 'LoRA');
    }));

  test('of a model with updates: they and their scale remain', () =>
    scoped((own) => {
      const { model, file } = fineTunedModel(own);
      model.loraScale = 0.5;
      const before = samplePicture(model, withNewWord);
      assertRefusesFiles(own, model);
      assert.equal(model.loraScale, 0.5);
      assertSameBits(samplePicture(model, withNewWord), before, 'the picture');
      assert.deepEqual(model.saveLora(), file);
    }));
});

test('loadLora and unloadLora throw ArgumentError while the model has a fine-tuner', () =>
  scoped((own) => {
    const { file } = fineTunedModel(own);
    const model = randomModel(own);
    const fineTuner = own(model.fineTuner(fineTunerOptions()));
    fineTuner.step();
    const before = samplePicture(model, withNewWord);
    assertThrows(() => model.loadLora(file), ArgumentError, 'FineTuner', 'dispose');
    assertThrows(() => model.unloadLora(), ArgumentError, 'FineTuner', 'dispose');
    assertSameBits(samplePicture(model, withNewWord), before, 'the picture');
    fineTuner.step();
    fineTuner.dispose();
    model.loadLora(file);
  }));
