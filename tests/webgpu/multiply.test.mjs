// Tests of matrix products on the GPU, compared with a loop in float64: layouts, tilings, sizes, biases. The
// allowed error of an element is (depth + 3)·u times the sum of the terms' magnitudes (Higham, "Accuracy and
// Stability of Numerical Algorithms", section 3.1).
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { assertWithin } from '../support/compare.mjs';
import { roundedToHalf } from '../support/halves.mjs';
import { normalArray } from '../../support/random.mjs';
import { assertNoUncapturedErrors, counts } from '../support/webgpu.mjs';
import { kernelBench } from '../support/webgpu_kernels.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { multiply, packHalvesKernel, packWidth, packWorkgroup } from '../../build/for_tests/webgpu.js';

const unitRoundoff = 2 ** -24;
const bench = await kernelBench();
after(() => bench.dispose());

/** One matrix per batch row (outer) and head (inner), contiguous along `contiguous`. */
function layOut({ rows, columns, contiguous, offset, padding, outer, inner }, seed) {
  const [lines, length] = contiguous === 'rows' ? [columns, rows] : [rows, columns];
  const stride = length + padding;
  const size = lines * stride;
  return {
    values: normalArray(offset + outer * inner * size, seed, { dtype: 'float32' }),
    indexOf: (o, i, row, column) =>
      offset +
      (o * inner + i) * size +
      (contiguous === 'rows' ? column * stride + row : row * stride + column),
    matrix: {
      offset,
      rowStride: contiguous === 'rows' ? 1 : stride,
      columnStride: contiguous === 'rows' ? stride : 1,
      outer: inner * size,
      inner: size,
    },
  };
}

const recordPack = (recorder, singles, halves, count) => {
  const workgroups = Math.ceil(count / 2 / packWorkgroup);
  recorder.dispatch(
    packHalvesKernel(),
    [count / 2],
    [],
    [{ buffer: singles }, { buffer: halves }],
    [Math.min(workgroups, packWidth), Math.ceil(workgroups / packWidth), 1],
  );
};

async function check(tiling, { a, b, c, sizes, aligned, bias = 'none', accumulates = false, packed = null }) {
  const [rows, columns, depth] = sizes;
  const [outer, inner] = [2, 3];
  const [offset, padding] = aligned ? [4, 8] : [3, 1];
  const common = { offset, padding, outer, inner };
  const inA = layOut({ ...common, rows, columns: depth, contiguous: a === 'depth' ? 'columns' : 'rows' }, 1);
  const inB = layOut(
    { ...common, rows: depth, columns, contiguous: b === 'columns' ? 'columns' : 'rows' },
    2,
  );
  const inC = layOut({ ...common, rows, columns, contiguous: c }, 3);
  const biases = normalArray(Math.max(rows, columns), 4, { dtype: 'float32' });
  const scale = 0.75;

  const buffers = [inA, inB, inC].map(({ values }) => bench.put(values));
  const [packedValues, packedFrom] = packed === 'b' ? [inB.values, buffers[1]] : [inA.values, buffers[0]];
  const halves = packed && bench.put(new Uint32Array(Math.ceil(packedValues.length / 2)));
  const biasBuffer = bench.put(biases);
  const matrixOf = ({ matrix }, buffer) => ({ ...matrix, binding: { buffer } });
  const [found] = await bench.take([buffers[2]], (recorder) => {
    if (packed) recordPack(recorder, packedFrom, halves, packedValues.length);
    multiply(recorder, [tiling], {
      a: { ...matrixOf(inA, packed === 'a' ? halves : buffers[0]), packed: packed === 'a' },
      b: { ...matrixOf(inB, packed === 'b' ? halves : buffers[1]), packed: packed === 'b' },
      c: matrixOf(inC, buffers[2]),
      rows,
      columns,
      depth,
      outer,
      inner,
      scale,
      accumulates,
      ...(bias !== 'none' && { bias: { binding: { buffer: biasBuffer }, along: bias } }),
    });
  });

  // Padding between rows must not change.
  const expected = Float64Array.from(inC.values);
  const allowed = new Float64Array(expected.length);
  for (let o = 0; o < outer; ++o) {
    for (let i = 0; i < inner; ++i) {
      for (let row = 0; row < rows; ++row) {
        for (let column = 0; column < columns; ++column) {
          let [sum, magnitude] = [0, 0];
          for (let k = 0; k < depth; ++k) {
            const left = inA.values[inA.indexOf(o, i, row, k)];
            const right = inB.values[inB.indexOf(o, i, k, column)];
            const term =
              (packed === 'a' ? roundedToHalf(left) : left) * (packed === 'b' ? roundedToHalf(right) : right);
            sum += term;
            magnitude += Math.abs(term);
          }
          const index = inC.indexOf(o, i, row, column);
          const added = { none: 0, rows: biases[row], columns: biases[column] }[bias];
          const before = accumulates ? inC.values[index] : 0;
          expected[index] = before + scale * sum + added;
          const magnitudes = Math.abs(before) + scale * magnitude + Math.abs(added);
          allowed[index] = (depth + 3) * unitRoundoff * magnitudes;
        }
      }
    }
  }
  const description = [
    tiling.stage,
    tiling.tileRows,
    tiling.tileColumns,
    a,
    b,
    c,
    sizes,
    bias,
    accumulates,
    packed,
  ].join(' ');
  assertWithin(found.subarray(0, expected.length), expected, allowed, description);
}

/** Layouts with their own kernels. Others are computed as the transposed product. */
const layouts = ['depth', 'rows'].flatMap((a) =>
  ['columns', 'depth'].flatMap((b) => ['columns', 'rows'].map((c) => ({ a, b, c }))),
);

/** Larger than one workgroup of the largest tile, and smaller than one. */
const vectorSizes = [
  [140, 68, 36],
  [4, 8, 4],
];
const oddSizes = [
  [131, 67, 37],
  [1, 3, 1],
];

// The tests' adapter needs seconds to compile a large tile in workgroup memory. The variants run only with
// the smaller tile, which has the same source.
const tilings = [
  { stage: 'registers', tileRows: 16, tileColumns: 8, variants: false },
  { stage: 'registers', tileRows: 8, tileColumns: 8, variants: true },
  { stage: 'registers', tileRows: 4, tileColumns: 4, variants: true },
  { stage: 'workgroup', tileRows: 8, tileColumns: 8, variants: false, slow: true },
  { stage: 'workgroup', tileRows: 4, tileColumns: 4, variants: true },
];

for (const { variants, slow = false, ...tiling } of tilings) {
  describe(`${tiling.stage}, tiles of ${tiling.tileRows} × ${tiling.tileColumns}`, () => {
    for (const { a, b, c } of layouts) {
      if (slow && a === 'rows' && !isFullRun) continue;
      test(`A contiguous along ${a}, B along ${b}, C along ${c}`, async () => {
        for (const sizes of vectorSizes) await check(tiling, { a, b, c, sizes, aligned: true });
        if (!variants && (a === 'rows' || c === 'rows')) return;
        for (const sizes of oddSizes) await check(tiling, { a, b, c, sizes, aligned: false });
      });
    }
    if (!variants) return;
    test('bias along rows and columns, accumulation', async () => {
      const layout = { a: 'depth', b: 'columns', c: 'columns' };
      for (const [bias, accumulates] of [
        ['rows', false],
        ['columns', true],
      ]) {
        await check(tiling, { ...layout, sizes: [36, 20, 12], aligned: true, bias, accumulates });
        await check(tiling, { ...layout, sizes: [33, 19, 11], aligned: false, bias, accumulates });
      }
      // In a transposed product the bias is along the other dimension.
      await check(tiling, {
        a: 'rows',
        b: 'depth',
        c: 'columns',
        sizes: [36, 20, 12],
        aligned: true,
        bias: 'rows',
      });
    });
    for (const packed of ['a', 'b']) {
      test(`${packed.toUpperCase()} in float16`, async () => {
        for (const { a, b, c } of layouts) {
          await check(tiling, { a, b, c, sizes: [36, 20, 12], aligned: true, packed });
        }
        const layout = { a: 'depth', b: 'columns', c: 'columns' };
        await check(tiling, { ...layout, sizes: [140, 68, 36], aligned: true, packed });
      });
    }
  });
}

test('only buffers that the next product reuses remain', () => {
  assert.equal(counts.alive, bench.device.memory.buffers);
  assertNoUncapturedErrors();
});
