// Tests of weight files of the denoiser: save and load round trips, and files that load refuses.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits, worstDifference } from '../support/compare.mjs';
import { ArgumentError, Denoiser, editFile, expectNoMemoryAfterEach } from '../support/denoiser.mjs';
import {
  saveFloat32,
  samplePicture,
  randomFile,
  randomModel,
  shippedFile,
  WeightsError,
} from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';
import { parseSafetensors, writeSafetensors } from '../support/safetensors.mjs';
import { fileTensors } from '../support/small_layer.mjs';

expectNoMemoryAfterEach();

const prompt = 'a red circle above a star';

describe('save', () => {
  test('float32: a loaded file saves to the same bytes and gives the same pictures', () =>
    scoped((own) => {
      const model = own(
        Denoiser.create({ features: 32, blocks: 2, textFeatures: 16, textHeads: 2, seed: 3 }),
      );
      const file = saveFloat32(model);
      const again = own(Denoiser.load(file));
      assert.deepEqual(saveFloat32(again), file);
      const random = randomModel(own);
      const copy = own(Denoiser.load(saveFloat32(random)));
      assertSameBits(samplePicture(copy, { prompt }), samplePicture(random, { prompt }), 'the picture');
    }));

  test('float16, the default, rounds to nearest', () =>
    scoped((own) => {
      const model = randomModel(own);
      const exact = parseSafetensors(saveFloat32(model)).tensors;
      assert.deepEqual(model.save(), model.save({ dtype: 'float16' }));
      const { tensors } = parseSafetensors(model.save());
      assert.deepEqual([...tensors.keys()], [...exact.keys()]);
      for (const [name, { dtype, shape, values }] of tensors) {
        assert.equal(dtype, 'F16');
        assert.deepEqual(shape, exact.get(name).shape);
        exact.get(name).values.forEach((value, index) => {
          // 2^-25 is half the spacing of subnormal float16 numbers.
          const allowed = Math.max(2 ** -11 * Math.abs(value), 2 ** -25);
          assert.ok(Math.abs(values[index] - value) <= allowed, `${name}[${index}]`);
        });
      }
      const rounded = own(Denoiser.load(model.save()));
      assert.deepEqual(rounded.save(), model.save(), 'float16 values are saved exactly');
      const { difference } = worstDifference(
        samplePicture(rounded, { prompt, steps: 1 }),
        samplePicture(model, { prompt, steps: 1 }),
      );
      assert.ok(difference > 0 && difference < 0.2, `${difference}`);
    }));

  test('the metadata describes the model; the file has parameterCount values', () =>
    scoped((own) => {
      const model = randomModel(own);
      const { tensors, metadata } = parseSafetensors(saveFloat32(model));
      const { format, vocabulary, ...numbers } = metadata;
      assert.equal(format, 'pt');
      assert.deepEqual(vocabulary.split(' '), model.vocabulary);
      assert.deepEqual(numbers, {
        imageSize: '32',
        pixelFeatures: '8',
        pixelBlocks: '1',
        patch: '4',
        features: '32',
        blocks: '2',
        numHeads: '4',
        textFeatures: '32',
        textBlocks: '1',
        textHeads: '4',
        mostWords: '24',
        expansion: '4',
      });
      const count = [...tensors.values()].reduce((sum, { values }) => sum + values.length, 0);
      assert.equal(model.parameterCount, count);
      assert.ok(tensors.has('transformer_blocks.1.attn2.to_out.0.bias'), 'names as in diffusers');
    }));

  test('throws ArgumentError for other dtypes', () =>
    scoped((own) => {
      const model = randomModel(own);
      for (const dtype of ['F16', 'bfloat16', 'float64', '', 16, null]) {
        assertThrows(() => model.save({ dtype }), ArgumentError, 'dtype', 'float16');
      }
      assertThrows(() => model.save('float32'), ArgumentError, 'options', 'an object');
    }));
});

describe('load', () => {
  test('accepts a view with an offset, and an ArrayBuffer', () =>
    scoped((own) => {
      const file = randomFile();
      const padded = new Uint8Array(file.length + 20);
      padded.set(file, 7);
      const model = own(Denoiser.load(padded.subarray(7, 7 + file.length)));
      assert.deepEqual(saveFloat32(model), saveFloat32(own(Denoiser.load(new Uint8Array(file).buffer))));
    }));

  test("the site's file is a model for pictures of 32 × 32 pixels and knows the words of scenes", () =>
    scoped((own) => {
      const model = own(Denoiser.load(shippedFile()));
      assert.deepEqual([model.imageSize, model.mapSize, model.maxWords], [32, 8, 23]);
      for (const word of ['red', 'circle', 'left', 'inside', 'background']) {
        assert.ok(model.vocabulary.includes(word), word);
      }
      // Words have an effect on the mean colour of the picture that is much larger than the noise of one
      // seed.
      const meansOf = (text) => {
        const picture = samplePicture(model, { prompt: text, steps: 3 });
        const pixels = picture.length / 3;
        return [0, 1, 2].map(
          (plane) =>
            picture.subarray(plane * pixels, (plane + 1) * pixels).reduce((sum, v) => sum + v, 0) / pixels,
        );
      };
      const [white, black] = ['white', 'black'].map((colour) =>
        meansOf(`a red circle on a ${colour} background`),
      );
      for (const channel of [1, 2]) assert.ok(white[channel] > black[channel] + 0.5, `${white}; ${black}`);
      const [red, blue] = ['red', 'blue'].map((colour) =>
        meansOf(`a large ${colour} circle on a black background`),
      );
      assert.ok(red[0] - red[2] > blue[0] - blue[2] + 0.1, `${red}; ${blue}`);
    }));

  const unchanged = (_, tensor) => tensor;
  const withMetadata = (changes) => (file) =>
    editFile(file, unchanged, (metadata) => ({ ...metadata, ...changes(metadata) }));
  const withoutMetadata = (name) => (file) =>
    editFile(file, unchanged, (metadata) =>
      Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== name)),
    );
  const name = 'transformer_blocks.0.attn1.to_q.weight';

  /** Invalid files: a function that corrupts a valid file, and parts of the error message. */
  const failures = {
    'an empty file': [() => new Uint8Array(0), 'file'],
    'an HTML file': [() => new TextEncoder().encode('<!doctype html><title>404</title>'), 'file'],
    'a file truncated in its header': [(file) => file.subarray(0, 300), 'header'],
    'a file truncated in its last tensor': [(file) => file.subarray(0, file.length - 1), 'tensor'],
    "a layer's file": [() => writeSafetensors(fileTensors(), { format: 'pt' }), 'denoiser', 'metadata'],
    "a layer's file without metadata": [() => writeSafetensors(fileTensors()), 'denoiser', 'metadata'],
    'a file without a vocabulary': [withoutMetadata('vocabulary'), 'vocabulary'],
    'a configuration with a missing value': [withoutMetadata('textHeads'), 'textHeads'],
    'a configuration value that is not a number': [
      withMetadata(() => ({ blocks: 'two' })),
      'blocks',
      "'two'",
      'an integer',
    ],
    'a configuration value that is not an integer': [
      withMetadata(() => ({ blocks: '2.5' })),
      'blocks',
      "'2.5'",
    ],
    'an inconsistent configuration': [withMetadata(() => ({ numHeads: '5' })), 'features', 'numHeads'],
    'a negative configuration value': [withMetadata(() => ({ features: '-32' })), 'features', '-32'],
    'a vocabulary with an extra word': [
      withMetadata(({ vocabulary }) => ({ vocabulary: `${vocabulary} zebra` })),
      'text.embedding.weight',
      '[42, 32]',
      '[43, 32]',
    ],
    'a vocabulary with a missing word': [
      withMetadata(({ vocabulary }) => ({ vocabulary: vocabulary.replace(/ \w+$/, '') })),
      'text.embedding.weight',
      '[42, 32]',
      '[41, 32]',
    ],
    'a small file that declares a model larger than memory': [
      withMetadata(() => ({ features: '16384', imageSize: '16384' })),
      '[16384, ',
      '[32, 128]',
    ],
    'a small file that declares 16384 blocks': [
      withMetadata(() => ({ blocks: '16384' })),
      'transformer_blocks.2',
    ],
    'a smaller number of blocks': [withMetadata(() => ({ blocks: '1' })), 'tensors'],
    'a smaller number of text blocks': [withMetadata(() => ({ textBlocks: '0' })), 'tensors'],
    'a tensor that the configuration does not need': [
      (file) => {
        const { tensors, metadata } = parseSafetensors(file);
        const more = { dtype: 'F32', shape: [1], values: [0] };
        return writeSafetensors({ ...Object.fromEntries(tensors), more }, metadata);
      },
      'tensors',
    ],
    'another number of blocks': [withMetadata(() => ({ blocks: '3' })), 'transformer_blocks.2'],
    'a missing tensor': [
      (file) => editFile(file, (tensorName, t) => (tensorName === name ? undefined : t)),
      name,
    ],
    'a tensor of another shape': [
      (file) => editFile(file, (tensorName, t) => (tensorName === name ? { ...t, shape: [16, 64] } : t)),
      name,
      '[16, 64]',
      '[32, 32]',
    ],
    'an integer tensor': [
      (file) =>
        editFile(file, (tensorName, t) =>
          tensorName === name ? { ...t, dtype: 'I64', values: [...t.values].map(Math.round) } : t,
        ),
      name,
      'I64',
    ],
  };
  for (const [description, [change, ...parts]] of Object.entries(failures)) {
    test(`throws WeightsError for ${description}`, () => {
      assertThrows(() => Denoiser.load(change(randomFile())), WeightsError, ...parts);
    });
  }

  test('throws ArgumentError for arguments that are not bytes', () => {
    for (const wrong of [undefined, null, 'file', 5, {}, [1, 2]]) {
      assertThrows(() => Denoiser.load(wrong), ArgumentError, 'weights', 'Uint8Array');
    }
  });
});
