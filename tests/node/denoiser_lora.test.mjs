// Low-rank updates as files: names of diffusers, bits that come back, and files that are refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits, worstDifference } from '../support/compare.mjs';
import { ArgumentError, Denoiser, expectNoMemory, file32, paint } from '../support/denoiser.mjs';
import { editFile, randomFile, randomModel, smallOptions, WeightsError } from '../support/denoiser.mjs';
import { lesson, teach, word } from '../support/denoiser_teaching.mjs';
import { assertThrows } from '../support/errors.mjs';
import { parseSafetensors } from '../support/safetensors.mjs';

expectNoMemory();

const old = { prompt: 'a red circle' };
const taught = { prompt: `a ${word} above a star` };

/** A model that has learned the word, with what it paints. */
function taughtModel(own) {
  const model = randomModel(own);
  const before = paint(model, old);
  teach(model, 3, { learningRate: 0.02 });
  return { model, before, file: model.saveLora() };
}

test('saveLora has the names that diffusers gives them, of all attentions and four weights each', () =>
  scoped((own) => {
    const model = randomModel(own);
    teach(model, 1, { rank: 3 });
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
      // B was zero at first: after a step every update has learned.
      assert.ok(
        values.some((value) => value !== 0),
        name,
      );
    }
  }));

describe('loadLora', () => {
  test('gives another denoiser of the same weights the same picture, bit for bit, and says the words', () =>
    scoped((own) => {
      const { model, file } = taughtModel(own);
      const other = randomModel(own);
      assertThrows(() => other.sampler(taught), ArgumentError, `'${word}'`);
      for (const bytes of [file, new Uint8Array(file).buffer])
        assert.deepEqual(other.loadLora(bytes), [word]);
      assert.equal(other.vocabulary.at(-1), word);
      for (const options of [old, taught]) {
        assertSameBits(paint(other, options), paint(model, options), options.prompt);
      }
      assert.deepEqual(other.saveLora(), file);
      assert.deepEqual(file32(other), file32(model));
    }));

  test('is learned further where it was loaded', () =>
    scoped((own) => {
      const { model, file } = taughtModel(own);
      const other = randomModel(own);
      other.loadLora(file);
      assert.deepEqual(teach(other, 2), teach(model, 2));
      assert.deepEqual(other.saveLora(), model.saveLora());
    }));

  test('puts it in place of an earlier one, whose words stay known', () =>
    scoped((own) => {
      const { file } = taughtModel(own);
      const model = randomModel(own);
      teach(model, 2, { word: 'drop', captions: new Array(4).fill('a drop') });
      model.loraScale = 0.5;
      assert.deepEqual(model.loadLora(file), [word]);
      assert.equal(model.loraScale, 1);
      assert.deepEqual(model.saveLora(), file);
      assert.deepEqual(model.vocabulary.slice(-2), ['drop', word]);
      const other = randomModel(own);
      other.loadLora(file);
      assertSameBits(paint(model, taught), paint(other, taught), 'the picture');
    }));
});

describe('loraScale', () => {
  test('0 and unloadLora give the old picture of old words, bit for bit', () =>
    scoped((own) => {
      const { model, before } = taughtModel(own);
      const learned = paint(model, old);
      assert.ok(worstDifference(learned, before).difference > 1e-4, 'something was learned');
      assert.equal(model.loraScale, 1);
      model.loraScale = 0;
      assertSameBits(paint(model, old), before, 'loraScale 0');
      model.loraScale = 1;
      assertSameBits(paint(model, old), learned, 'loraScale 1');
      model.unloadLora();
      assertSameBits(paint(model, old), before, 'unloadLora');
      assert.ok(model.vocabulary.includes(word), 'the word stays known');
      paint(model, taught);
      model.unloadLora();
      assertThrows(() => model.saveLora(), ArgumentError, 'no LoRA', 'loadLora');
      assertThrows(() => (model.loraScale = 1), ArgumentError, 'no LoRA', 'loadLora');
    }));

  test('between has an effect between, also negative and beyond 1', () =>
    scoped((own) => {
      const { model, before } = taughtModel(own);
      const changeOf = (scale) => {
        model.loraScale = scale;
        assert.equal(model.loraScale, scale);
        return worstDifference(paint(model, { ...old, steps: 1 }), paintPlain).difference;
      };
      model.loraScale = 0;
      const paintPlain = paint(model, { ...old, steps: 1 });
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
      assertSameBits(paint(model, old), before, 'the picture');
    }));

  test('ends samplers that were made before', () =>
    scoped((own) => {
      const { model } = taughtModel(own);
      const changes = {
        loraScale: () => (model.loraScale = 0.5),
        unloadLora: () => model.unloadLora(),
      };
      for (const [name, change] of Object.entries(changes)) {
        const sampler = own(model.sampler(old));
        sampler.advance();
        change();
        assertThrows(() => sampler.advance(), ArgumentError, 'denoiser has changed');
        assert.equal(sampler.step, 1, name);
      }
    }));
});

describe('a file that does not fit is refused, and nothing has changed', () => {
  const name = 'transformer.transformer_blocks.1.attn2.to_k.lora_A.weight';
  /** The same file with one tensor's name changed to another of the same length. */
  function renameTensor(file, from, to) {
    assert.equal(from.length, to.length);
    const changed = file.slice();
    const at = Buffer.from(changed).indexOf(`"${from}"`);
    assert.ok(at > 0, from);
    changed.set(Buffer.from(to), at + 1);
    return changed;
  }

  const reshaped = (tensor) => ({
    ...tensor,
    shape: [tensor.shape[0], tensor.shape[1] - 1],
    values: tensor.values.subarray(0, tensor.shape[0] * (tensor.shape[1] - 1)),
  });
  const only = (changed, change) => (file) =>
    editFile(file, (each, tensor) => (each === changed ? change(tensor) : tensor));

  /** What becomes of the file, and parts of the message. */
  const corruptions = {
    'cut off': [(file) => file.subarray(0, file.length - 10), 'tensor'],
    empty: [() => new Uint8Array(0), 'file'],
    'no safetensors': [() => new Uint8Array(1000).fill(7), 'file'],
    'without a tensor': [only(name, () => undefined), name, 'lacks'],
    'with a tensor of another shape': [only(name, reshaped), name, '[4, 31]', '[4, 32]'],
    'with a tensor of another name': [
      (file) => renameTensor(file, name, name.replace('lora_A', 'lora_C')),
      name,
      'lacks',
    ],
    'with the embedding of another length': [
      only(`text.embedding.words.${word}`, (tensor) => ({
        ...tensor,
        shape: [31],
        values: tensor.values.subarray(1),
      })),
      word,
      '[31]',
      '[32]',
    ],
    'with a word that is none': [
      (file) => renameTensor(file, `text.embedding.words.${word}`, 'text.embedding.words.b ob'),
      'b ob',
      'word',
    ],
    'of a whole model': [() => randomFile(), 'low-rank'],
  };

  function refuses(own, model) {
    const { file } = taughtModel(own);
    for (const [corrupt, ...parts] of Object.values(corruptions)) {
      assertThrows(() => model.loadLora(corrupt(file)), WeightsError, ...parts);
    }
    for (const [options, ...parts] of [
      [{ blocks: 3 }, 'tensors'],
      [{ features: 64 }, 'shape'],
    ]) {
      const foreign = own(Denoiser.create({ ...smallOptions, ...options }));
      teach(foreign, 1, { batch: 1 });
      assertThrows(() => model.loadLora(foreign.saveLora()), WeightsError, ...parts);
    }
    for (const wrong of [undefined, null, 'file', 5, [1, 2]]) {
      assertThrows(() => model.loadLora(wrong), ArgumentError, 'file', 'Uint8Array');
    }
  }

  test('by a model without updates', () =>
    scoped((own) => {
      const model = randomModel(own);
      const before = paint(model, old);
      const known = model.vocabulary;
      refuses(own, model);
      assertSameBits(paint(model, old), before, 'the picture');
      assert.deepEqual(model.vocabulary, known);
      assertThrows(() => model.saveLora(), ArgumentError, 'no LoRA');
    }));

  test('by a model that has some: they stay, with their scale', () =>
    scoped((own) => {
      const { model, file } = taughtModel(own);
      model.loraScale = 0.5;
      const before = paint(model, taught);
      refuses(own, model);
      assert.equal(model.loraScale, 0.5);
      assertSameBits(paint(model, taught), before, 'the picture');
      assert.deepEqual(model.saveLora(), file);
    }));
});

test('loadLora and unloadLora while a learner lives are an ArgumentError', () =>
  scoped((own) => {
    const { file } = taughtModel(own);
    const model = randomModel(own);
    const learner = own(model.learner(lesson()));
    learner.step();
    const before = paint(model, taught);
    assertThrows(() => model.loadLora(file), ArgumentError, 'has a learner', 'disposed of');
    assertThrows(() => model.unloadLora(), ArgumentError, 'has a learner', 'disposed of');
    assertSameBits(paint(model, taught), before, 'the picture');
    learner.step();
    learner.dispose();
    model.loadLora(file);
  }));
