// Tests of AttentionRecorder: heat maps against sums of attentionMaps, outputs with the same bits as without,
// names, batch rows, asynchronous calls, errors and memory.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { additiveMask, keyMask, makeCase, normalTensor, scoped, withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { goldenInput, readGolden } from '../support/goldens.mjs';
import { heatMapOf, sumsOfMaps } from '../support/recorded.mjs';
import {
  ArgumentError,
  AttentionRecorder,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  ShapeError,
  Tensor,
} from '../support/package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const size = { batch: 2, height: 4, width: 7, queryDim: 24, contextDim: 10, numHeads: 3, length: 13 };
const groups = { cat: [1], hat: [4, 5, 12], all: Array.from({ length: 13 }, (_, key) => key) };

/** Heat maps are float32, and so are the sums over heads of a float32 layer. */
const toleranceOf = { float32: 2e-6, float64: 1e-7 };

/** Returns the sums of a call by group. */
function sumsOf({ layer, input, context, options }, shape, own, rows) {
  const maps = own(layer.attentionMaps(input, context, { ...options, heads: 'all' })).data();
  const ofGroup = ([group, keys]) => [group, sumsOfMaps(maps, shape, keys, rows)];
  return Object.fromEntries(Object.entries(groups).map(ofGroup));
}

describe('heat maps are the sums of attentionMaps', () => {
  const folding = { batch: 2, height: 12, width: 8, queryDim: 96, contextDim: 16, numHeads: 2, length: 13 };
  const cases = {
    image: {},
    tokens: { layout: 'tokens', width: 4 },
    'single tokens': { layout: 'single', batch: 1, width: 4 },
    'self-attention': { contextDim: 24, length: null },
    'key mask': { mask: keyMask(2, 13, 3) },
    'a row that attends to nothing': { mask: keyMask(2, 13, 3, { ignored: [1] }) },
    'additive mask': { mask: additiveMask([2, 3, 28, 13], 4) },
    'mask of rank 3': { mask: additiveMask([2, 28, 13], 4) },
    'one context for all rows': { contextBatch: 1 },
    'small blocks': { layerOptions: { blockSizeQ: 8, blockSizeKV: 6 } },
    'small blocks, large scores': { layerOptions: { blockSizeQ: 8, blockSizeKV: 5 }, magnitude: 8 },
    'long context': { length: 300 },
    'folded context': folding,
    'folded context, key mask': { ...folding, mask: keyMask(2, 13, 5) },
    'folded context, additive mask': { ...folding, mask: additiveMask([1, 2, 96, 13], 6) },
  };
  for (const dtype of ['float32', 'float64']) {
    for (const [name, extra] of Object.entries(cases)) {
      test(`${name}, ${dtype}`, () =>
        withCase({ ...size, dtype, ...extra }, (made, own) => {
          const { layer, input, context, options, problem } = made;
          const shape = { ...size, ...extra, length: problem.length };
          const recorder = own(new AttentionRecorder({ size: 9, groups }));
          const plain = own(layer.forwardWithContext(input, context, options)).data();
          for (let call = 1; call <= 2; ++call) {
            const record = { recorder, name: 'mid' };
            const output = own(layer.forwardWithContext(input, context, { ...options, record }));
            assertSameBits(output.data(), plain, 'output');
            assert.equal(recorder.calls, call);
          }
          const sums = sumsOf(made, shape, own);
          for (const group of Object.keys(groups)) {
            for (const normalize of [false, true]) {
              const expected = heatMapOf([[sums[group], sums[group]]], 9, { normalize });
              const actual = recorder.heatMap(group, { normalize });
              assert.equal(actual.constructor, Float32Array);
              assertClose(actual, expected, toleranceOf[dtype], group);
            }
          }
        }));
    }
  }
});

test('without a mask, the probabilities of all keys sum to 1 everywhere', () =>
  withCase(size, ({ layer, input, context }, own) => {
    const recorder = own(new AttentionRecorder({ size: 16, groups }));
    own(layer.forwardWithContext(input, context, { record: { recorder } }));
    assertClose(recorder.heatMap('all'), new Float32Array(256).fill(1), 2e-6, 'sums');
  }));

test('a row that attends to nothing has the probability 0', () =>
  withCase({ ...size, mask: keyMask(2, 13, 3, { ignored: [0, 1] }) }, (made, own) => {
    const recorder = own(new AttentionRecorder({ size: 5, groups }));
    const { layer, input, context, options } = made;
    own(layer.forwardWithContext(input, context, { ...options, record: { recorder } }));
    for (const normalize of [false, true]) {
      assertSameBits(recorder.heatMap('all', { normalize }), new Float32Array(25), 'heat map');
    }
  }));

test('context rows with NaN that no row attends to are not recorded', () =>
  scoped((own) => {
    const layer = own(new DiffusionCrossAttention(8, 4, 2, 4, { seed: 1 }));
    const input = own(normalTensor([1, 8, 2, 2], 1));
    const values = normalTensor([1, 3, 4], 2);
    values.view().fill(NaN, 8);
    const context = own(values);
    const recorder = own(new AttentionRecorder({ size: 2, groups: { both: [0, 1], hidden: [2] } }));
    const key = own(Tensor.from([1, 1, 0], [1, 3]));
    const additive = own(Tensor.from([0, 0, -Infinity], [1, 1, 1, 3]));
    for (const mask of [key, additive]) {
      own(layer.forwardWithContext(input, context, { mask, record: { recorder } }));
    }
    assertClose(recorder.heatMap('both'), new Float32Array(4).fill(1), 1e-6, 'attended');
    assertSameBits(recorder.heatMap('hidden'), new Float32Array(4), 'hidden');
  }));

describe('rows and names', () => {
  test("'conditional' records the second half of the batch", () =>
    withCase({ ...size, batch: 4 }, (made, own) => {
      const { layer, input, context } = made;
      const recorder = own(new AttentionRecorder({ size: 8, groups }));
      own(layer.forwardWithContext(input, context, { record: { recorder, rows: 'conditional' } }));
      const sums = sumsOf(made, { ...size, batch: 4 }, own, 'conditional');
      assertClose(recorder.heatMap('hat'), heatMapOf([[sums.hat]], 8), 2e-6, 'heat map');
    }));

  test('layers, resolutions and steps are averaged by name', () =>
    scoped((own) => {
      const shapes = [size, { ...size, height: 2, width: 3, numHeads: 2 }];
      const cases = shapes.map((shape, index) => own(makeCase({ ...shape, seed: index + 1 })));
      const recorder = own(new AttentionRecorder({ size: 6, groups }));
      const names = ['down', 'mid'];
      const steps = [3, 1];
      const sums = cases.map((made, index) => {
        const { layer, input, context } = made;
        for (let step = 0; step < steps[index]; ++step) {
          const record = { recorder, name: names[index] };
          own(layer.forwardWithContext(input, context, { record }));
        }
        return Array(steps[index]).fill(sumsOf(made, shapes[index], own).hat);
      });
      assert.equal(recorder.calls, 4);
      assertClose(recorder.heatMap('hat'), heatMapOf(sums, 6), 2e-6, 'all names');
      for (const [index, name] of names.entries()) {
        const map = recorder.heatMap('hat', { names: [name] });
        assertClose(map, heatMapOf([sums[index]], 6), 2e-6, name);
      }
      assertSameBits(recorder.heatMap('hat', { names }), recorder.heatMap('hat'), 'both names');
      // One name with two resolutions.
      recorder.reset();
      for (const { layer, input, context } of cases) {
        own(layer.forwardWithContext(input, context, { record: { recorder } }));
      }
      assertClose(
        recorder.heatMap('hat'),
        heatMapOf(
          sums.map(([call]) => [call]),
          6,
        ),
        2e-6,
        'no name',
      );
    }));

  test('a layer that is used under two names', () =>
    withCase(size, (made, own) => {
      const { layer, input, context } = made;
      const recorder = own(new AttentionRecorder({ size: 6, groups }));
      const other = { ...made, input: own(normalTensor(input.shape, 77)) };
      own(layer.forwardWithContext(input, context, { record: { recorder, name: 'a' } }));
      own(layer.forwardWithContext(other.input, context, { record: { recorder, name: 'b' } }));
      const sums = [made, other].map((call) => sumsOf(call, size, own).cat);
      const expected = heatMapOf([[sums[0]], [sums[1]]], 6);
      assertClose(recorder.heatMap('cat'), expected, 2e-6, 'mean');
      assertClose(recorder.heatMap('cat', { names: ['b'] }), heatMapOf([[sums[1]]], 6), 2e-6, 'b');
    }));

  test('a key that is listed twice counts twice', () =>
    withCase(size, (made, own) => {
      const { layer, input, context } = made;
      const recorder = own(new AttentionRecorder({ size: 6, groups: { once: [3], twice: [3, 3] } }));
      own(layer.forwardWithContext(input, context, { record: { recorder } }));
      const once = recorder.heatMap('once').map((value) => 2 * value);
      assertClose(recorder.heatMap('twice'), once, 1e-6, 'twice');
    }));
});

describe('bicubic interpolation as in PyTorch', () => {
  // The map is made by a mask: two keys with probabilities p and 1 - p. The interpolation is linear and keeps
  // constants, so that 0.5 + 0.2·x becomes 0.5 + 0.2·(the golden's output). PyTorch rounds positions to
  // float32: by up to 1e-6 pixels, across which the map changes by up to 3 per pixel.
  const { inputs, outputs } = readGolden('resize-bicubic');
  for (const [name, input] of Object.entries(inputs)) {
    test(name, () =>
      scoped((own) => {
        const [height, width] = input.shape.slice(2);
        const expected = outputs[name.replace('map', 'bicubic')];
        const probabilities = goldenInput(name, input).map((value) => 0.5 + 0.2 * value);
        const mask = own(
          Tensor.from(
            Float64Array.from({ length: 2 * probabilities.length }, (_, index) => {
              const p = probabilities[index >> 1];
              return Math.log(index % 2 === 0 ? p : 1 - p);
            }),
            [1, 1, height * width, 2],
          ),
        );
        const layer = own(new DiffusionCrossAttention(2, 2, 1, 4, { dtype: 'float64', seed: 1 }));
        const image = own(Tensor.zeros([1, 2, height, width], 'float64'));
        const context = own(Tensor.zeros([1, 2, 2], 'float64'));
        const [, , size] = expected.shape;
        const recorder = own(new AttentionRecorder({ size, groups: { map: [0] } }));
        own(layer.forwardWithContext(image, context, { mask, record: { recorder } }));
        const actual = recorder.heatMap('map').map((value) => (value - 0.5) / 0.2);
        assertClose(actual, expected.values, 4e-6, 'the resized map');
      }),
    );
  }
});

test('overlay is transparent at 0 and yellow at the maximum', () =>
  scoped((own) => {
    const layer = own(new DiffusionCrossAttention(2, 2, 1, 4, { seed: 1 }));
    // The left half of the image attends to key 0, the right half to key 1.
    const rows = Array.from({ length: 16 }, (_, token) => (token % 4 < 2 ? [0, -Infinity] : [-Infinity, 0]));
    const mask = own(Tensor.from(rows.flat(), [1, 1, 16, 2]));
    const [image, context] = [own(Tensor.zeros([1, 2, 4, 4])), own(Tensor.zeros([1, 2, 2]))];
    const recorder = own(new AttentionRecorder({ size: 4, groups: { left: [0], right: [1] } }));
    own(layer.forwardWithContext(image, context, { mask, record: { recorder } }));
    for (const [width, height] of [
      [4, 4],
      [16, 8],
    ]) {
      const pixels = recorder.overlay('left', width, height);
      assert.equal(pixels.constructor, Uint8ClampedArray);
      assert.equal(pixels.length, 4 * width * height);
      assert.deepEqual([...pixels.subarray(0, 4)], [255, 255, 0, 191]);
      assert.equal(pixels.at(-1), 0);
      assert.equal(recorder.overlay('right', width, height).at(-1), 191);
    }
  }));

describe('asynchronous calls', () => {
  test('resolve after their sums have arrived, with the same bits', () =>
    withCase(size, async ({ layer, input, context }, own) => {
      const [sync, async] = [1, 2].map(() => own(new AttentionRecorder({ size: 8, groups })));
      for (let call = 0; call < 3; ++call) {
        const record = { recorder: sync, name: 'x', rows: 'conditional' };
        own(layer.forwardWithContext(input, context, { record }));
      }
      const record = { recorder: async, name: 'x', rows: 'conditional' };
      own(await layer.forwardAsync(input, context, { record }));
      assert.equal(async.calls, 1);
      const pending = [1, 2].map(() => layer.forwardAsync(input, context, { record }));
      for (const output of await Promise.all(pending)) own(output);
      assert.equal(async.calls, 3);
      assertSameBits(async.heatMap('hat'), sync.heatMap('hat'), 'heat map');
    }));

  test('a change of parameters, reset and dispose during a call', () =>
    withCase(size, async (made, own) => {
      const { layer, input, context } = made;
      const recorder = own(new AttentionRecorder({ size: 8, groups }));
      const expected = own(layer.forwardWithContext(input, context, { record: { recorder } })).data();
      const map = recorder.heatMap('cat');
      recorder.reset();
      assert.equal(recorder.calls, 0);
      const start = () => layer.forwardAsync(input, context, { record: { recorder } });
      const changed = start();
      const parameters = layer.getParameters();
      layer.setParameters(parameters.map((value) => 2 * value));
      assertSameBits(own(await changed).data(), expected, 'output');
      assertSameBits(recorder.heatMap('cat'), map, 'heat map of the parameters of before');
      layer.setParameters(parameters);
      const dropped = start();
      recorder.reset();
      assertSameBits(own(await dropped).data(), expected, 'output after reset');
      assert.equal(recorder.calls, 0);
      const orphan = start();
      recorder.dispose();
      assertSameBits(own(await orphan).data(), expected, 'output after dispose');
    }));

  test('training, and a layer that is disposed during the call', () =>
    withCase(size, async (made, own) => {
      const { layer, input, context } = made;
      const recorder = own(new AttentionRecorder({ size: 8, groups }));
      layer.training = true;
      const gradient = own(normalTensor(input.shape, 3));
      own(layer.forwardWithContext(input, context));
      const expected = own(layer.backward(gradient)).data();
      own(layer.forwardWithContext(input, context, { record: { recorder } }));
      assertSameBits(own(layer.backward(gradient)).data(), expected, 'gradient');
      const pending = layer.forwardAsync(input, context, { record: { recorder } });
      layer.dispose();
      own(await pending);
      assert.equal(recorder.calls, 2);
    }));
});

describe('errors', () => {
  const invalid = [
    [undefined, 'options.size'],
    [{ groups }, 'options.size is undefined'],
    [{ size: 0, groups }, 'options.size is 0', '1 to 4096'],
    [{ size: 1.5, groups }, 'options.size'],
    [{ size: 8 }, 'options.groups is undefined'],
    [{ size: 8, groups: {} }, 'at least one group'],
    [{ size: 8, groups: { cat: [] } }, 'options.groups.cat is []', 'at least one key'],
    [{ size: 8, groups: { cat: 3 } }, 'options.groups.cat is 3'],
    [{ size: 8, groups: { cat: [0, -1] } }, 'options.groups.cat[1] is -1'],
    [{ size: 8, groups: { cat: ['1'] } }, 'options.groups.cat[0] is "1"'],
    [{ size: 8, groups: { cat: [2 ** 31] } }, 'options.groups.cat[0]'],
  ];
  for (const [options, ...parts] of invalid) {
    test(`constructor: ${parts[0]}`, () => {
      assertThrows(() => new AttentionRecorder(options), ArgumentError, ...parts);
    });
  }

  test('of heatMap and overlay', () =>
    withCase(size, ({ layer, input, context }, own) => {
      const recorder = own(new AttentionRecorder({ size: 8, groups }));
      assertThrows(() => recorder.heatMap('cat'), ArgumentError, 'recorded no call');
      assertThrows(() => recorder.overlay('cat', 4, 4), ArgumentError, 'recorded no call');
      own(layer.forwardWithContext(input, context, { record: { recorder, name: 'mid' } }));
      assertThrows(() => recorder.heatMap('dog'), ArgumentError, 'group is "dog"', '"cat"', '"hat"');
      assertThrows(() => recorder.heatMap('toString'), ArgumentError, 'group');
      assertThrows(() => recorder.heatMap('cat', { normalize: 1 }), ArgumentError, 'options.normalize');
      assertThrows(() => recorder.heatMap('cat', { names: 'mid' }), ArgumentError, 'options.names');
      assertThrows(() => recorder.heatMap('cat', { names: [] }), ArgumentError, 'options.names');
      assertThrows(() => recorder.heatMap('cat', { names: [1] }), ArgumentError, 'options.names[0]');
      assertThrows(() => recorder.heatMap('cat', { names: ['mid', 'up'] }), ArgumentError, '"up"');
      assertThrows(() => recorder.overlay('cat', 0, 4), ArgumentError, 'width is 0');
      assertThrows(() => recorder.overlay('cat', 4, 2.5), ArgumentError, 'height is 2.5');
    }));

  test('of a call leave recorder and layer as they were', () =>
    withCase({ ...size, batch: 3, layout: 'tokens' }, async ({ layer, input, context }, own) => {
      const square = own(normalTensor([3, 4, 24], 9));
      const options = { size: 8, groups };
      const recorder = own(new AttentionRecorder(options));
      const far = own(new AttentionRecorder({ size: 8, groups: { last: [12], far: [13] } }));
      const disposed = new AttentionRecorder(options);
      disposed.dispose();
      disposed.dispose();
      const failures = [
        [input, { recorder }, ShapeError, '28 tokens', 'square'],
        [square, { recorder, rows: 'conditional' }, ShapeError, 'batch of 3', 'even'],
        [square, { recorder: far }, ArgumentError, 'key 13', '13'],
        [square, { recorder, rows: 'odd' }, ArgumentError, 'record.rows is "odd"'],
        [square, { recorder, name: 7 }, ArgumentError, 'record.name is 7'],
        [square, {}, ArgumentError, 'record.recorder is undefined'],
        [square, 5, ArgumentError, 'record is 5'],
        [square, { recorder: {} }, ArgumentError, 'record.recorder'],
        [square, { recorder: new Proxy(recorder, {}) }, ArgumentError, 'record.recorder', 'proxy'],
        [square, { recorder: disposed }, DisposedError, 'AttentionRecorder was disposed'],
      ];
      const before = memoryInUse();
      for (const [tokens, record, ...expected] of failures) {
        assertThrows(() => layer.forwardWithContext(tokens, context, { record }), ...expected);
        await assertRejects(() => layer.forwardAsync(tokens, context, { record }), ...expected);
      }
      assert.equal(memoryInUse(), before);
      assert.equal(recorder.calls + far.calls, 0);
      for (const use of [
        () => disposed.calls,
        () => disposed.heatMap('cat'),
        () => disposed.overlay('cat', 2, 2),
        () => disposed.reset(),
      ]) {
        assertThrows(use, DisposedError, 'AttentionRecorder');
      }
    }));
});

test('memory: sums are freed by reset and dispose', () =>
  withCase(size, ({ layer, input, context }, own) => {
    const recorder = own(new AttentionRecorder({ size: 64, groups }));
    // The first recorded call enlarges the scratch memory, which all layers share.
    own(layer.forwardWithContext(input, context, { record: { recorder } })).dispose();
    recorder.reset();
    const before = memoryInUse();
    for (let step = 0; step < 3; ++step) {
      layer.forwardWithContext(input, context, { record: { recorder } }).dispose();
    }
    // Float64 sums of 3 groups × 28 tokens, in blocks of 64 bytes.
    const sums = memoryInUse() - before;
    assert.ok(sums >= 8 * 3 * 28 && sums < 8 * 3 * 28 + 4096, `${sums} bytes`);
    recorder.heatMap('cat');
    assert.equal(memoryInUse() - before, sums);
    recorder.reset();
    assert.equal(memoryInUse(), before);
  }));
