// The kernels between the products, each against a loop in float64: softmax and its gradient, delta, sums of channels,
// numbers in halves. Tolerances: u = 2^-24 times the number of roundings on the way, of the sum of magnitudes.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { assertClose, assertWithin } from '../support/compare.mjs';
import { normalArray } from '../../support/random.mjs';
import { softmax } from '../support/reference.mjs';
import { assertNoUncapturedErrors, counts } from '../support/webgpu.mjs';
import { kernelBench } from '../support/webgpu_kernels.mjs';
import { forTests } from '../../dist/webgpu.js';

const { recordSoftmax, channelSumsKernel, deltaKernel, softmaxGradientKernel, softmaxGradientWorkgroup } =
  forTests;
const unitRoundoff = 2 ** -24;
const bench = await kernelBench();
after(() => bench.dispose());

const normals = (size, seed, deviation = 1) => normalArray(size, seed, { dtype: 'float32', deviation });

/** Scores [batch · heads][padded keys][tokens] of a part of the tokens, and where softmax finds its numbers. */
const [batch, heads, tokens, keys, paddedKeys] = [2, 3, 70, 13, 16];
const [first, part] = [5, 65];
const scale = 0.5;
const rows = batch * heads;
const noMask = { kind: 'none', outer: 0, inner: 0, token: 0, elements: 0, offset: 0 };
const at = (row, key, token) => (row * paddedKeys + key) * part + token;

test('softmax of a part of the tokens: rows that pad the keys become zeros', async () => {
  const values = normals(rows * paddedKeys * part, 1, 8);
  const [scores, logSumExp] = [values, new Float32Array(rows * tokens)].map((numbers) => bench.put(numbers));
  const inner = paddedKeys * part;
  const attention = { batch, heads, tokens, keys, paddedKeys, scale, mask: noMask, maskBuffer: null };
  const [found, kept] = await bench.take([scores, logSumExp], (recorder) =>
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
      const ofToken = Float64Array.from({ length: keys }, (_, key) => scale * values[at(row, key, token)]);
      softmax(ofToken).forEach((probability, key) => (expected[at(row, key, token)] = probability));
      const sum = ofToken.reduce((total, score) => total + Math.exp(score), 0);
      const found = kept[row * tokens + first + token];
      assert.ok(Math.abs(found - Math.log(sum)) < 1e-5, `logSumExp is ${found}, expected ${Math.log(sum)}`);
    }
    // Tokens of other parts.
    assert.deepEqual([...kept.subarray(row * tokens, row * tokens + first)], new Array(first).fill(0));
  }
  // exp of up to -30: (3 + 2·30) units, and one for each key that is added.
  assertClose(found, expected, (63 + keys) * unitRoundoff, 'probabilities');
});

test("softmax's gradient", async () => {
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
      [Math.ceil(part / softmaxGradientWorkgroup), paddedKeys, rows],
    ),
  );
  const [wanted, expected, allowed] = [0, 1, 2].map(() => new Float64Array(size));
  for (let row = 0; row < rows; ++row) {
    for (let key = 0; key < keys; ++key) {
      for (let token = 0; token < part; ++token) {
        const place = at(row, key, token);
        const statistic = row * tokens + first + token;
        // At most 1, as the kernel has it.
        const probability = Math.exp(Math.min(0, scale * scores[place] - logSumExp[statistic]));
        wanted[place] = probability;
        expected[place] = probability * (gradients[place] - delta[statistic]) * scale;
        allowed[place] = 40 * unitRoundoff * (Math.abs(gradients[place]) + Math.abs(delta[statistic]));
      }
    }
  }
  assertClose(probabilities, wanted, 40 * unitRoundoff, 'probabilities');
  assertWithin(found, expected, allowed, 'gradients of the scores');
});

test('delta: the sum over the channels of a head', async () => {
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
      [Math.ceil(count / softmaxGradientWorkgroup), rows, 1],
    ),
  );
  const expected = Float64Array.from(delta, (_, index) => {
    const [row, token] = [Math.floor(index / count), index % count];
    let sum = 0;
    for (let c = 0; c < headDim; ++c) {
      const place = (row * headDim + c) * count + token;
      sum += a[place] * b[place];
    }
    return sum;
  });
  assertClose(found.subarray(0, expected.length), expected, 1e-5, 'delta');
});

describe('sums of channels', () => {
  for (const subgroups of [true, false]) {
    for (const layout of ['channels first', 'tokens first']) {
      test(`${subgroups ? 'with' : 'without'} subgroups, ${layout}`, async () => {
        for (const [sets, channels, count] of [
          [2, 5, 130],
          [1, 3, 1],
          [3, 2, 64],
        ]) {
          const values = normals(sets * channels * count, 1);
          const [channelStride, tokenStride] = layout === 'channels first' ? [count, 1] : [1, channels];
          const [buffer, sums] = [values, new Float32Array(channels)].map((numbers) => bench.put(numbers));
          const [found] = await bench.take([sums], (recorder) =>
            recorder.dispatch(
              channelSumsKernel(subgroups),
              [channels, count, sets, channelStride, tokenStride, channels * count],
              [],
              [{ buffer }, { buffer: sums }],
              [channels, 1, 1],
            ),
          );
          const [expected, allowed] = [new Float64Array(channels), new Float64Array(channels)];
          for (let set = 0; set < sets; ++set) {
            for (let channel = 0; channel < channels; ++channel) {
              for (let token = 0; token < count; ++token) {
                const value = values[set * channels * count + channel * channelStride + token * tokenStride];
                expected[channel] += value;
                allowed[channel] += (sets * count + 64) * unitRoundoff * Math.abs(value);
              }
            }
          }
          assertWithin(found.subarray(0, channels), expected, allowed, 'sums');
        }
      });
    }
  }
});

test('no buffer is left, no error was told', () => {
  assert.equal(counts.alive, bench.device.memory.buffers);
  assertNoUncapturedErrors();
});
