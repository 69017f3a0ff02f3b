// Tests of softmax(scale·q·kᵀ + mask)·v on the GPU: flash attention and attention in parts, compared with a
// loop in float64.
//
// Tolerance: the error of a score is (headDim + 4)·u·Σ|terms|, which exp turns into a relative error; sums
// over the keys add (keys + 4)·u. In these tests (scores up to 40, sums of up to 160 terms) that is below
// 1e-5 of the largest value.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { additiveMask, keyMask } from '../support/cases.mjs';
import { assertClose } from '../support/compare.mjs';
import { normalArray } from '../../support/random.mjs';
import { softmax } from '../support/reference.mjs';
import { assertNoUncapturedErrors, counts } from '../support/webgpu.mjs';
import { kernelBench } from '../support/webgpu_kernels.mjs';
import { maskBits, strategies } from '../support/webgpu_layer.mjs';
import { recordAttention } from '../../build/for_tests/webgpu.js';

const tolerance = 1e-5;
const bench = await kernelBench();
after(() => bench.dispose());

const padded = (length) => Math.ceil(length / 4) * 4;

/** Strides of a mask [B | 1, L] or [B | 1, heads | 1, N | 1, L], and valueAt, which is added to a score. */
function maskOf(mask) {
  if (mask === null) return { kind: 'none', outer: 0, inner: 0, token: 0, bits: null, valueAt: () => 0 };
  const { shape, values } = mask;
  const strideAt = (axis) =>
    shape[axis] === 1 ? 0 : shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  if (mask.kind === 'key') {
    const outer = strideAt(0);
    const valueAt = (b, _head, _token, key) => (values[b * outer + key] === 1 ? 0 : -Infinity);
    return {
      kind: 'keys',
      outer,
      inner: 0,
      token: 0,
      bits: maskBits('keys', Float32Array.from(values)),
      valueAt,
    };
  }
  const singles = Float32Array.from(values);
  const [outer, inner, token] = [0, 1, 2].map(strideAt);
  const valueAt = (b, head, row, key) => singles[b * outer + head * inner + row * token + key];
  return { kind: 'additive', outer, inner, token, bits: maskBits('additive', singles), valueAt };
}

/** Random values [batch][channels of all heads][padded(length)]; padding columns are zeros. */
function channelsFirst(batch, channels, length, seed) {
  const stride = padded(length);
  const values = normalArray(batch * channels * stride, seed, { dtype: 'float32' });
  for (let row = 0; row < batch * channels; ++row) values.fill(0, row * stride + length, (row + 1) * stride);
  return values;
}

async function check(
  strategy,
  { headDim, tokens, keys, mask = null, sharesKeys = false, withLogSumExp = true },
) {
  const [batch, heads] = [2, 2];
  const channels = heads * headDim;
  const scale = 2 / Math.sqrt(headDim);
  const keyBatch = sharesKeys ? 1 : batch;
  const stride = padded(keys);
  const query = normalArray(batch * channels * tokens, 1, { dtype: 'float32' });
  const [key, value] = [2, 3].map((seed) => channelsFirst(keyBatch, channels, keys, seed));
  const { bits, valueAt, ...layout } = maskOf(mask);

  const buffers = [query, key, value].map((values) => bench.put(values));
  const output = bench.put(new Float32Array(query.length));
  const logSumExp = bench.put(new Float32Array(batch * heads * tokens));
  const matrix = (buffer, length, rows) => ({
    binding: { buffer },
    offset: 0,
    rowStride: length,
    columnStride: 1,
    outer: rows === 1 ? 0 : channels * length,
    inner: headDim * length,
  });
  const attention = {
    batch,
    heads,
    headDim,
    tokens,
    keys,
    paddedKeys: stride,
    scale,
    query: matrix(buffers[0], tokens, batch),
    key: matrix(buffers[1], stride, keyBatch),
    value: matrix(buffers[2], stride, keyBatch),
    mask: { ...layout, offset: 0 },
    maskBuffer: bits && bench.put(bits),
  };
  const [found, statistics] = await bench.take([output, logSumExp], (recorder) =>
    recordAttention(
      { device: bench.device, recorder, scratch: bench.scratch, strategy },
      attention,
      matrix(output, tokens, batch),
      withLogSumExp ? logSumExp : null,
    ),
  );

  const expected = new Float64Array(query.length);
  for (let row = 0; row < batch * heads; ++row) {
    const [b, head] = [Math.floor(row / heads), row % heads];
    const queryAt = (c, token) => (row * headDim + c) * tokens + token;
    const keyAt = (c, l) => (((sharesKeys ? 0 : b) * heads + head) * headDim + c) * stride + l;
    for (let token = 0; token < tokens; ++token) {
      const scores = Float64Array.from({ length: keys }, (_, l) => {
        let sum = 0;
        for (let c = 0; c < headDim; ++c) sum += query[queryAt(c, token)] * key[keyAt(c, l)];
        return scale * sum + valueAt(b, head, token, l);
      });
      const probabilities = softmax(scores);
      for (let c = 0; c < headDim; ++c) {
        let sum = 0;
        for (let l = 0; l < keys; ++l) sum += probabilities[l] * value[keyAt(c, l)];
        expected[queryAt(c, token)] = sum;
      }
      if (!withLogSumExp) continue;
      const actual = statistics[row * tokens + token];
      const maximum = Math.max(...scores);
      if (maximum === -Infinity) {
        assert.ok(actual < -3e38, 'the logSumExp of a token without visible keys');
      } else {
        const sum = scores.reduce((total, score) => total + Math.exp(score - maximum), 0);
        const wanted = maximum + Math.log(sum);
        assert.ok(Math.abs(actual - wanted) < 1e-4, `logSumExp of token ${token} is ${actual}`);
      }
    }
  }
  assertClose(found.subarray(0, expected.length), expected, 4 * tolerance, 'attention');
}

const all = Object.entries(strategies);

for (const [name, strategy] of all) {
  describe(name, () => {
    // One and several stages of channels; rows of invocations with and without channels.
    for (const [headDim, mask] of [
      [4, null],
      [20, 'additive'],
      [80, 'additive'],
      [84, null],
      [160, 'key'],
    ]) {
      test(`heads of ${headDim} channels, mask: ${mask ?? 'none'}`, () => {
        const [tokens, keys] = [68, 37];
        const masks = {
          key: keyMask(2, keys, 5, { ignored: [1] }),
          additive: additiveMask([2, 2, tokens, keys], 5),
        };
        const withLogSumExp = headDim !== 84;
        return check(strategy, { headDim, tokens, keys, mask: mask && masks[mask], withLogSumExp });
      });
    }

    test('masks of all shapes', async () => {
      const [tokens, keys] = [12, 70];
      for (let ones = 0; ones < 8; ++ones) {
        const shape = [2, 2, tokens].map((size, axis) => (ones & (1 << axis) ? 1 : size));
        const mask = additiveMask([...shape, keys], 7 + ones, { ignoreProbability: ones % 2 ? 0.9 : 0.3 });
        await check(strategy, { headDim: 8, tokens, keys, mask });
      }
      for (const rows of [1, 2]) {
        await check(strategy, { headDim: 8, tokens, keys, mask: keyMask(rows, keys, 9, { ignored: [0] }) });
      }
    });

    test('one key, 32 keys, keys shared by both batch rows', async () => {
      await check(strategy, { headDim: 8, tokens: 4, keys: 1 });
      await check(strategy, { headDim: 8, tokens: 64, keys: 32 });
      await check(strategy, { headDim: 8, tokens: 132, keys: 130, sharesKeys: true });
    });

    // Flash attention requires multiples of 4; other sizes use attention in parts with any strategy.
    test('odd numbers of channels and tokens', async () => {
      await check(strategy, { headDim: 5, tokens: 9, keys: 7 });
      await check(strategy, { headDim: 12, tokens: 13, keys: 33 });
    });
  });
}

test('no error was reported, and only scratch buffers remain', () => {
  assert.equal(counts.alive, bench.device.memory.buffers);
  assertNoUncapturedErrors();
});
