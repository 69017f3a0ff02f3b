// How time and memory of one forward grow: our package by itself, one size varied, all others kept.
import os from 'node:os';
import { ContenderProcess } from './contender_process.mjs';
import { median } from './measure.mjs';
import { countedMilliseconds, round } from './measurement.mjs';
import { flopsOf } from './shapes.mjs';

const base = { batch: 1, queryDim: 320, height: 32, width: 32, length: 77, contextDim: 768, numHeads: 8 };

/** One round of all points after another. */
const leastRounds = 7;

/**
 * The exponent p of time = a + b·xᵖ, from the points `from` x on: the slope of log(time − a) over log(x − x₀) by least
 * squares. `reference`: x₀, and a is the time there; null: both are zero.
 */
const curves = [
  {
    name: 'N',
    title: 'tokens of the image; the same context at every call',
    task: 'forward-cached',
    xs: [16, 24, 32, 48, 64, 96, 128].map((size) => size ** 2),
    shapeAt: (tokens) => ({ ...base, height: Math.sqrt(tokens), width: Math.sqrt(tokens) }),
    // With keys and values kept, all that is left to do is done for each token: nothing to subtract. From 32² on, input
    // and output no longer fit into a second-level cache of 1 MiB.
    fit: { from: 32 ** 2, reference: null },
  },
  {
    name: 'L',
    title: 'vectors of the context; another context at every call',
    task: 'forward',
    xs: [1, 4, 16, 77, 154, 308, 512, 1024, 2048, 4096],
    shapeAt: (length) => ({ ...base, length }),
    // Query and output projection do not depend on L; subtracting the time of another L leaves them out. That of 77 keys:
    // fewer than 40 take another way, folded with the weights. From 512 on, keys and values no longer fit into a
    // second-level cache of 1 MiB.
    fit: { from: 512, reference: 77 },
  },
  {
    name: 'C',
    title: 'channels; another context at every call',
    task: 'forward',
    xs: [64, 128, 192, 320, 640, 960, 1280],
    shapeAt: (queryDim) => ({ ...base, queryDim }),
  },
  {
    name: 'threads',
    title: '2 × 320 × 64², 77 keys of 768; another context at every call; by the clock',
    task: 'forward',
    xs: Array.from({ length: os.availableParallelism() }, (_, index) => index + 1),
    shapeAt: () => ({ ...base, batch: 2, height: 64, width: 64 }),
    threadsAt: (threads) => threads,
  },
];

/** By least squares. */
function slope(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [0, 1].map((axis) => mean(points.map((point) => point[axis])));
  const products = points.map(([x, y]) => (x - meanX) * (y - meanY));
  return mean(products) / mean(points.map(([x]) => (x - meanX) ** 2));
}

function exponent({ from, reference }, points) {
  const x0 = reference ?? 0;
  const a = points.find(({ x }) => x === reference)?.milliseconds ?? 0;
  const fitted = points.filter(({ x }) => x >= from);
  return slope(fitted.map(({ x, milliseconds }) => [Math.log(x - x0), Math.log(milliseconds - a)]));
}

async function measureCurve({ name, title, task, xs, shapeAt, threadsAt, fit = null }, simd, seconds) {
  const points = [];
  for (const x of xs) {
    const threads = threadsAt?.(x) ?? 1;
    const process = await ContenderProcess.start('cross_attention', { simd, threads });
    const shape = { name: `${name} ${x}`, ...shapeAt(x) };
    const { memory } = await process.ask('prepare', { shape, dtype: 'float32', task });
    points.push({ x, shape, threads, memory, process, rounds: [] });
  }
  const end = performance.now() + seconds * 1000 * points.length;
  while (points[0].rounds.length < leastRounds || performance.now() < end) {
    // By turns: all meet the same weather.
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
    onProgress(`time against ${curve.name}`);
    measured.push(await measureCurve(curve, simd, seconds));
  }
  return measured;
}
