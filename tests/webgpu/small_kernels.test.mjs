// Tests of the kernels between matrix products, compared with loops in float64: softmax and its gradient,
// delta, channel sums, norms of heads. Tolerances: u = 2^-24 times the number of roundings times the sum of
// magnitudes.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { assertClose, assertWithin } from '../support/compare.mjs';
import { normalArray } from '../../support/random.mjs';
import { softmax } from '../support/reference.mjs';
import { assertNoUncapturedErrors, counts } from '../support/webgpu.mjs';
import { kernelBench } from '../support/webgpu_kernels.mjs';
import {
  channelSumsKernel,
  deltaKernel,
  headNormKernel,
  headNormWorkgroup,
  recordSoftmax,
  softmaxGradientKernel,
  softmaxWorkgroup,
} from '../../build/for_tests/webgpu.js';

const unitRoundoff = 2 ** -24;
const bench = await kernelBench();
after(() => bench.dispose());

const normals = (size, seed, deviation = 1) => normalArray(size, seed, { dtype: 'float32', deviation });

/** Scores [batch · heads][padded keys][tokens of a part], and the index of a score. */
const [batch, heads, tokens, keys, paddedKeys] = [2, 3, 70, 13, 16];
const [first, part] = [5, 65];
const scale = 0.5;
const rows = batch * heads;
const noMask = { kind: 'none', outer: 0, inner: 0, token: 0, elements: 0, offset: 0 };
const indexOf = (row, key, token) => (row * paddedKeys + key) * part + token;

test('softmax of a part of the tokens: padding keys become zeros', async () => {
  const values = normals(rows * paddedKeys * part, 1, 8);
  const [scores, logSumExp] = [values, new Float32Array(rows * tokens)].map((numbers) => bench.put(numbers));
  const inner = paddedKeys * part;
  const attention = { batch, heads, tokens, keys, paddedKeys, scale, mask: noMask, maskBuffer: null };
  const [probabilities, statistics] = await bench.take([scores, logSumExp], (recorder) =>
    recordSoftmax(
      { recorder },
      attention,
      {
        binding: { buffer: scores },
        offset: 0,
        rowStride: part,
        columnStride: 1,
        outer: heads * inner,
        inner,
      },
      first,
      part,
      logSumExp,
    ),
  );
  const expected = new Float64Array(values.length);
  for (let row = 0; row < rows; ++row) {
    for (let token = 0; token < part; ++token) {
      const indexOfKey = (key) => indexOf(row, key, token);
      const ofToken = Float64Array.from({ length: keys }, (_, key) => scale * values[indexOfKey(key)]);
      softmax(ofToken).forEach((probability, key) => (expected[indexOfKey(key)] = probability));
      const sum = ofToken.reduce((total, score) => total + Math.exp(score), 0);
      const actual = statistics[row * tokens + first + token];
      assert.ok(Math.abs(actual - Math.log(sum)) < 1e-5, `logSumExp is ${actual}, expected ${Math.log(sum)}`);
    }
    // Tokens of other parts are not changed.
    assert.deepEqual([...statistics.subarray(row * tokens, row * tokens + first)], new Array(first).fill(0));
  }
  // exp of arguments down to -30 has an error of 3 + 2·30 ULP, each added key one rounding.
  assertClose(probabilities, expected, (63 + keys) * unitRoundoff, 'probabilities');
});

test('softmax gradient', async () => {
  const size = rows * paddedKeys * part;
  const [scores, gradients] = [normals(size, 1), normals(size, 2)];
  const [logSumExp, delta] = [normals(rows * tokens, 3).map((value) => value + 4), normals(rows * tokens, 4)];
  const buffers = [scores, gradients, logSumExp, delta].map((values) => bench.put(values));
  const numbers = [part, keys, paddedKeys, heads, part, paddedKeys * part, first, first, tokens, scale];
  const [probabilities, found] = await bench.take(buffers.slice(0, 2), (recorder) =>
    recorder.dispatch(
      softmaxGradientKernel('none'),
      [...numbers, 0, 0, 0, 0],
      [numbers.length - 1],
      [{ buffer: buffers[0] }, null, ...buffers.slice(1).map((buffer) => ({ buffer }))],
      [Math.ceil(part / softmaxWorkgroup), paddedKeys, rows],
    ),
  );
  const [expectedProbabilities, expected, allowed] = [0, 1, 2].map(() => new Float64Array(size));
  for (let row = 0; row < rows; ++row) {
    for (let key = 0; key < keys; ++key) {
      for (let token = 0; token < part; ++token) {
        const index = indexOf(row, key, token);
        const statistic = row * tokens + first + token;
        // At most 1, as in the kernel.
        const probability = Math.exp(Math.min(0, scale * scores[index] - logSumExp[statistic]));
        expectedProbabilities[index] = probability;
        expected[index] = probability * (gradients[index] - delta[statistic]) * scale;
        allowed[index] = 40 * unitRoundoff * (Math.abs(gradients[index]) + Math.abs(delta[statistic]));
      }
    }
  }
  assertClose(probabilities, expectedProbabilities, 40 * unitRoundoff, 'probabilities');
  assertWithin(found, expected, allowed, 'gradients of the scores');
});

test('delta: sums of products over the channels of a head', async () => {
  const [headDim, count] = [7, 70];
  const [a, b] = [normals(rows * headDim * count, 1), normals(rows * headDim * count, 2)];
  const delta = new Float32Array(rows * count);
  const buffers = [a, b, delta].map((values) => bench.put(values));
  const [found] = await bench.take([buffers[2]], (recorder) =>
    recorder.dispatch(
      deltaKernel(),
      [count, headDim, count, headDim * count, count],
      [],
      buffers.map((buffer) => ({ buffer })),
      [Math.ceil(count / softmaxWorkgroup), rows, 1],
    ),
  );
  const expected = Float64Array.from(delta, (_, index) => {
    const [row, token] = [Math.floor(index / count), index % count];
    let sum = 0;
    for (let c = 0; c < headDim; ++c) {
      const element = (row * headDim + c) * count + token;
      sum += a[element] * b[element];
    }
    return sum;
  });
  assertClose(found.subarray(0, expected.length), expected, 1e-5, 'delta');
});

describe('channel sums', () => {
  for (const subgroups of [true, false]) {
    for (const layout of ['channels first', 'tokens first']) {
      test(`${subgroups ? 'with' : 'without'} subgroups, ${layout}`, async () => {
        for (const [batchSize, channels, count] of [
          [2, 5, 130],
          [1, 3, 1],
          [3, 2, 64],
        ]) {
          const values = normals(batchSize * channels * count, 1);
          const [channelStride, tokenStride] = layout === 'channels first' ? [count, 1] : [1, channels];
          const [buffer, sums] = [values, new Float32Array(channels)].map((numbers) => bench.put(numbers));
          const [found] = await bench.take([sums], (recorder) =>
            recorder.dispatch(
              channelSumsKernel(subgroups),
              [channels, count, batchSize, channelStride, tokenStride, channels * count],
              [],
              [{ buffer }, { buffer: sums }],
              [channels, 1, 1],
            ),
          );
          const [expected, allowed] = [new Float64Array(channels), new Float64Array(channels)];
          for (let batchRow = 0; batchRow < batchSize; ++batchRow) {
            for (let channel = 0; channel < channels; ++channel) {
              for (let token = 0; token < count; ++token) {
                const begin = batchRow * channels * count;
                const value = values[begin + channel * channelStride + token * tokenStride];
                expected[channel] += value;
                allowed[channel] += (batchSize * count + 64) * unitRoundoff * Math.abs(value);
              }
            }
          }
          assertWithin(found.subarray(0, channels), expected, allowed, 'sums');
        }
      });
    }
  }
});

describe('norms of heads', () => {
  for (const isLayerNorm of [true, false]) {
    test(isLayerNorm ? 'layer norm' : 'RMS norm', async () => {
      for (const [batchSize, headCount, headDim, count, stride, epsilon] of [
        [2, 3, 5, 70, 72, 1e-5],
        [1, 1, 160, 1, 4, 0],
        [1, 2, 8, 64, 64, 0.5],
      ]) {
        const values = normals(batchSize * headCount * headDim * stride, 1).map((value) => value + 0.5);
        const [weight, bias] = [normals(headDim, 2), normals(headDim, 3)];
        const [buffer, ...vectors] = [values, weight, bias].map((numbers) => bench.put(numbers));
        const [found] = await bench.take([buffer], (recorder) =>
          recorder.dispatch(
            headNormKernel(isLayerNorm),
            [count, stride, headDim, headCount * headDim * stride, epsilon],
            [4],
            [{ buffer }, { buffer: vectors[0] }, isLayerNorm ? { buffer: vectors[1] } : null],
            [Math.ceil(count / headNormWorkgroup), headCount, batchSize],
          ),
        );
        const expected = Float64Array.from(values);
        const allowed = new Float64Array(values.length);
        for (let head = 0; head < batchSize * headCount; ++head) {
          for (let token = 0; token < count; ++token) {
            const indices = Array.from({ length: headDim }, (_, c) => (head * headDim + c) * stride + token);
            const sum = indices.reduce((total, index) => total + values[index], 0);
            const mean = isLayerNorm ? sum / headDim : 0;
            const squares = indices.reduce((total, index) => total + (values[index] - mean) ** 2, 0);
            const deviation = Math.sqrt(squares / headDim + epsilon);
            indices.forEach((index, c) => {
              const normalized = ((values[index] - mean) / deviation) * weight[c];
              expected[index] = normalized + (isLayerNorm ? bias[c] : 0);
              // Of the mean, relative to the largest value, and of the sum of squares.
              const magnitude = (Math.abs(weight[c]) * 8) / deviation + Math.abs(expected[index]);
              allowed[index] = (2 * headDim + 16) * unitRoundoff * magnitude;
            });
          }
        }
        // Values between the last token and the stride stay.
        assertWithin(found.subarray(0, values.length), expected, allowed, 'norms');
      }
    });
  }
});

test('no buffer remains, and no error was reported', () => {
  assert.equal(counts.alive, bench.device.memory.buffers);
  assertNoUncapturedErrors();
});
