// Measures how time and memory of one forward pass grow: this package alone, with one size varied and all
// others fixed.
import os from 'node:os';
import { ContenderProcess } from './contender_process.mjs';
import { median } from './measure.mjs';
import { countedMilliseconds, round } from './measurement.mjs';
import { flopsOf } from './shapes.mjs';

const base = { batch: 1, queryDim: 320, height: 32, width: 32, length: 77, contextDim: 768, numHeads: 8 };

/** Minimum number of rounds. In each round, all points are measured once. */
const minRounds = 7;

/**
 * The measured curves. `fit` estimates the exponent p of time = a + b·(x − x₀)ᵖ from the points with x ≥
 * `from`, by linear regression of log(time − a) on log(x − x₀). `reference` is x₀, and a is the time there;
 * if it is null, both are zero.
 */
const curves = [
  {
    name: 'N',
    title: 'tokens of the image; the same context in every call',
    task: 'forward-cached',
    xs: [16, 24, 32, 48, 64, 96, 128].map((size) => size ** 2),
    shapeAt: (tokens) => ({ ...base, height: Math.sqrt(tokens), width: Math.sqrt(tokens) }),
    // With cached keys and values, all work is per token: there is nothing to subtract. From 32² on, input
    // and output no longer fit into a second-level cache of 1 MiB.
    fit: { from: 32 ** 2, reference: null },
  },
  {
    name: 'L',
    title: 'vectors of the context; a new context in every call',
    task: 'forward',
    xs: [1, 4, 16, 77, 154, 308, 512, 1024, 2048, 4096],
    shapeAt: (length) => ({ ...base, length }),
    // Query and output projection do not depend on L. Subtracting the time of another L, 77, removes them.
    // With fewer than 40 keys, the layer uses another algorithm (folded weights). From 512 on, keys and
    // values no longer fit into a second-level cache of 1 MiB.
    fit: { from: 512, reference: 77 },
  },
  {
    name: 'C',
    title: 'channels; a new context in every call',
    task: 'forward',
    xs: [64, 128, 192, 320, 640, 960, 1280],
    shapeAt: (queryDim) => ({ ...base, queryDim }),
  },
  {
    name: 'threads',
    title: '2 × 320 × 64², 77 keys of 768; a new context in every call; wall time',
    task: 'forward',
    xs: Array.from({ length: os.availableParallelism() }, (_, index) => index + 1),
    shapeAt: () => ({ ...base, batch: 2, height: 64, width: 64 }),
    threadsAt: (threads) => threads,
  },
];

/** Returns the coefficient of the linear regression of y on x. */
function regressionCoefficient(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [0, 1].map((axis) => mean(points.map((point) => point[axis])));
  const products = points.map(([x, y]) => (x - meanX) * (y - meanY));
  return mean(products) / mean(points.map(([x]) => (x - meanX) ** 2));
}

function exponent({ from, reference }, points) {
  const x0 = reference ?? 0;
  const a = points.find(({ x }) => x === reference)?.milliseconds ?? 0;
  const fitted = points.filter(({ x }) => x >= from);
  const logarithms = fitted.map(({ x, milliseconds }) => [Math.log(x - x0), Math.log(milliseconds - a)]);
  return regressionCoefficient(logarithms);
}

async function measureCurve({ name, title, task, xs, shapeAt, threadsAt, fit = null }, simd, seconds) {
  const points = [];
  for (const x of xs) {
    const threads = threadsAt?.(x) ?? 1;
    const process = await ContenderProcess.start('cross_attention', { simd, threads });
    const shape = { name: `${name} ${x}`, ...shapeAt(x) };
    const { memory } = await process.request('prepare', { shape, dtype: 'float32', task });
    points.push({ x, shape, threads, memory, process, rounds: [] });
  }
  const end = performance.now() + seconds * 1000 * points.length;
  while (points[0].rounds.length < minRounds || performance.now() < end) {
    // In turns: all points are measured under the same machine load.
    for (const point of points) {
      const one = await round(point.process);
      point.rounds.push(threadsAt ? one.milliseconds : countedMilliseconds(point.threads, one));
    }
  }
  for (const { process } of points) process.stop();
  const measured = points.map(({ x, shape, threads, memory, rounds }) => ({
    x,
    shape,
    threads,
    milliseconds: median(rounds),
    gflopsPerSecond: flopsOf(shape, task) / median(rounds) / 1e6,
    bytesBeyond: memory.forwardPeakBytes - memory.outputBytes,
    rounds,
  }));
  return { name, title, task, fit, exponent: fit && exponent(fit, measured), points: measured };
}

/** @returns {Promise<object[]>} each { name, title, task, fit, exponent, points } */
export async function measureCurves(simd, seconds, onProgress) {
  const measured = [];
  for (const curve of curves) {
    onProgress(`time by ${curve.name}`);
    measured.push(await measureCurve(curve, simd, seconds));
  }
  return measured;
}
