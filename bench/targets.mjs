// What the project sets itself, and whether a run reached it.
import { peers } from './contenders.mjs';
import { median } from './measure.mjs';
import { countedMilliseconds } from './measurement.mjs';
import { summarize } from './summary.mjs';

const crossShapes = ['sd15-64', 'sd15-32', 'sd15-16', 'sdxl-64', 'sdxl-32'];

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const times = (ratio) => `${ratio.toFixed(2)} ×`;
const gflopsPerSecond = (rate) => `${rate.toFixed(1)} GFLOP/s`;
const microseconds = (milliseconds) => `${(1000 * milliseconds).toFixed(1)} µs`;

/** How many times as fast as a peer, by its name or label; as the fastest where there are more. Null where none was measured. */
const timesAsFastAs =
  (...ids) =>
  ({ row }) => {
    const ratios = ids
      .map((id) => row.timesAsFastAs[peers[id]?.label ?? id])
      .filter((ratio) => ratio !== undefined);
    return ratios.length > 0 ? Math.min(...ratios) : null;
  };
const timesOnnxRuntimeWeb = timesAsFastAs('onnxruntime-web', 'onnxruntime-web-fused');

/** How many times as fast as with one thread: the ratio within each round. */
function timesOneThread({ row, rows }) {
  const single = rows.find(({ simd, threads }) => simd === row.simd && threads === 1);
  if (single === undefined) return null;
  const both = Math.min(row.rounds.length, single.rounds.length);
  const ratio = (_, round) =>
    countedMilliseconds(1, single.rounds[round]) / countedMilliseconds(row.threads, row.rounds[round]);
  return median(Array.from({ length: both }, ratio));
}

/** What two processes with nothing but the microkernel reached at the same time: more, the machine does not give. */
function loopsAtOnce({ row, rows }) {
  const single = rows.find(({ simd, threads }) => simd === row.simd && threads === 1);
  const ratio = row.ceilingGflopsPerSecond / single.ceilingGflopsPerSecond;
  return `; ${row.threads} loops of the microkernel at once: ${times(ratio)}`;
}

const shareOfCeiling = ({ row }) => row.shareOfCeiling;
const shareDone = ({ row }) => row.shareOfCeiling * row.doneOverFlops;

/**
 * Of relaxed SIMD, one thread, float32 and forward, where nothing else is said. `value` may be null: not measured.
 * Reached is `least` or more, `below` or less.
 */
const targets = [
  {
    what: 'of processor time',
    shapes: ['sd15-64', 'sd15-16'],
    value: ({ row }) => row.gflopsPerSecond,
    least: 35,
    show: gflopsPerSecond,
  },
  { what: 'of the ceiling', shapes: crossShapes, value: shareOfCeiling, least: 0.85, show: percent },
  { what: 'of the ceiling', shapes: ['self-64'], value: shareOfCeiling, least: 0.7, show: percent },
  {
    what: 'of its ceiling',
    simd: 'baseline',
    shapes: crossShapes,
    value: shareOfCeiling,
    least: 0.85,
    show: percent,
  },
  ...[1, 2].flatMap((threads) => [
    {
      what: 'as fast as ONNX Runtime Web',
      threads,
      shapes: [...crossShapes, 'tiny'],
      value: timesOnnxRuntimeWeb,
      least: 2,
      show: times,
    },
    {
      what: 'as fast as ONNX Runtime Web',
      threads,
      shapes: ['self-64'],
      value: timesOnnxRuntimeWeb,
      least: 2.2,
      show: times,
    },
  ]),
  ...Object.entries({ 'sd15-16': 7, 'sd15-32': 2.3, 'sd15-64': 2.1, 'sd15-stack': 2.9 }).map(
    ([shape, least]) => ({
      what: 'as fast as ONNX Runtime Web',
      task: 'forward-compiled',
      shapes: [shape],
      value: timesOnnxRuntimeWeb,
      least,
      show: times,
    }),
  ),
  {
    what: 'as fast as ONNX Runtime, native code',
    task: 'forward-compiled',
    shapes: ['sd15-stack'],
    value: timesAsFastAs('ONNX Runtime native'),
    least: 0.85,
    show: times,
  },
  {
    what: 'as fast as jax-js',
    task: 'training',
    shapes: ['sd15-16'],
    value: timesAsFastAs('jax'),
    least: 6,
    show: times,
  },
  {
    what: 'as fast as TensorFlow.js',
    task: 'training',
    shapes: ['sd15-16'],
    value: timesAsFastAs('tensorflow'),
    least: 12,
    show: times,
  },
  {
    what: 'of the ceiling, recomputation counted',
    task: 'training',
    shapes: crossShapes,
    value: shareDone,
    least: 0.7,
    show: percent,
  },
  {
    what: 'as fast as with one thread',
    threads: 2,
    shapes: crossShapes,
    value: timesOneThread,
    least: 1.8,
    show: times,
    note: loopsAtOnce,
  },
  {
    what: 'of the rate in float32',
    dtype: 'float64',
    shapes: crossShapes,
    value: ({ row, inFloat32 }) => inFloat32 && row.gflopsPerSecond / inFloat32.gflopsPerSecond,
    least: 0.4,
    show: percent,
  },
  {
    what: 'a call that computes next to nothing',
    shapes: ['overhead'],
    value: ({ row }) => row.milliseconds,
    below: 0.01,
    show: microseconds,
  },
];

const isMet = ({ least, below }, value) => (below === undefined ? value >= least : value < below);

/** @returns {{ met: boolean, text: string }[]} one a target, shape and run of it */
export function targetLines(measurements) {
  const summaries = measurements.map((one) => ({ ...one, rows: summarize(one) }));
  return targets.flatMap((target) => {
    const { simd = 'relaxed', threads = 1, dtype = 'float32', task = 'forward' } = target;
    const isRow = (row) => row.simd === simd && row.threads === threads;
    return summaries
      .filter((one) => one.dtype === dtype && one.task === task && target.shapes.includes(one.shape.name))
      .flatMap(({ shape, rows }) => {
        const row = rows.find(isRow);
        if (row === undefined) return [];
        const single = summaries.find(
          (one) => one.dtype === 'float32' && one.task === task && one.shape === shape,
        );
        const context = { row, rows, inFloat32: single?.rows.find(isRow) };
        const value = target.value(context) ?? null;
        if (value === null) return [];
        const met = isMet(target, value);
        const { show, below, least, note } = target;
        const wanted = below === undefined ? `at least ${show(least)}` : `less than ${show(below)}`;
        const what = [shape.name, dtype, task, row.title].join(', ');
        const text = `${met ? '✓' : '✗'} ${what}: ${show(value)} ${target.what}, ${wanted}${note?.(context) ?? ''}`;
        return [{ met, text }];
      });
  });
}
