// The performance targets of the project, and a check of a run against them.
import { peers } from './contenders.mjs';
import { median } from './measure.mjs';
import { countedMilliseconds } from './measurement.mjs';
import { summarize } from './summary.mjs';

const crossShapes = ['sd15-64', 'sd15-32', 'sd15-16', 'sdxl-64', 'sdxl-32'];

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const times = (ratio) => `${ratio.toFixed(2)} ×`;
const gflopsPerSecond = (rate) => `${rate.toFixed(1)} GFLOP/s`;
const microseconds = (milliseconds) => `${(1000 * milliseconds).toFixed(1)} µs`;

/**
 * Returns a function that computes the speed relative to a peer, or to the fastest of several peers, given by
 * name or label; null if none was measured.
 */
const timesAsFastAs =
  (...ids) =>
  ({ row }) => {
    const ratios = ids
      .map((id) => row.timesAsFastAs[peers[id]?.label ?? id])
      .filter((ratio) => ratio !== undefined);
    return ratios.length > 0 ? Math.min(...ratios) : null;
  };
const timesOnnxRuntimeWeb = timesAsFastAs('onnxruntime-web', 'onnxruntime-web-fused');

/** Returns the speed relative to one thread: the median of the ratios within each round. */
function timesOneThread({ row, rows }) {
  const single = rows.find(({ simd, threads }) => simd === row.simd && threads === 1);
  if (single === undefined) return null;
  const common = Math.min(row.rounds.length, single.rounds.length);
  const ratio = (_, round) =>
    countedMilliseconds(1, single.rounds[round]) / countedMilliseconds(row.threads, row.rounds[round]);
  return median(Array.from({ length: common }, ratio));
}

/**
 * Notes the speed-up of the microkernel alone in concurrent processes: the maximum that the machine allows.
 */
function ceilingSpeedup({ row, rows }) {
  const single = rows.find(({ simd, threads }) => simd === row.simd && threads === 1);
  const ratio = row.ceilingGflopsPerSecond / single.ceilingGflopsPerSecond;
  return `; ${row.threads} concurrent loops of the microkernel: ${times(ratio)}`;
}

const shareOfCeiling = ({ row }) => row.shareOfCeiling;
const executedShareOfCeiling = ({ row }) => row.shareOfCeiling * row.doneOverFlops;

/**
 * The targets. Defaults: relaxed SIMD, one thread, float32, task 'forward'. A target is met if `value` is at
 * least `min`, or less than `below`. `value` may be null: not measured.
 */
const targets = [
  {
    unit: 'by processor time',
    shapes: ['sd15-64', 'sd15-16'],
    value: ({ row }) => row.gflopsPerSecond,
    min: 35,
    show: gflopsPerSecond,
  },
  { unit: 'of the ceiling', shapes: crossShapes, value: shareOfCeiling, min: 0.85, show: percent },
  { unit: 'of the ceiling', shapes: ['self-64'], value: shareOfCeiling, min: 0.7, show: percent },
  {
    unit: 'of its ceiling',
    simd: 'baseline',
    shapes: crossShapes,
    value: shareOfCeiling,
    min: 0.85,
    show: percent,
  },
  ...[1, 2].flatMap((threads) => [
    {
      unit: 'as fast as ONNX Runtime Web',
      threads,
      shapes: [...crossShapes, 'tiny'],
      value: timesOnnxRuntimeWeb,
      min: 2,
      show: times,
    },
    {
      unit: 'as fast as ONNX Runtime Web',
      threads,
      shapes: ['self-64'],
      value: timesOnnxRuntimeWeb,
      min: 2.2,
      show: times,
    },
  ]),
  ...Object.entries({ 'sd15-16': 7, 'sd15-32': 2.3, 'sd15-64': 2.1, 'sd15-stack': 2.9 }).map(
    ([shape, min]) => ({
      unit: 'as fast as ONNX Runtime Web',
      task: 'forward-compiled',
      shapes: [shape],
      value: timesOnnxRuntimeWeb,
      min,
      show: times,
    }),
  ),
  {
    unit: 'as fast as native ONNX Runtime',
    task: 'forward-compiled',
    shapes: ['sd15-stack'],
    value: timesAsFastAs('ONNX Runtime native'),
    min: 0.85,
    show: times,
  },
  {
    unit: 'as fast as jax-js',
    task: 'training',
    shapes: ['sd15-16'],
    value: timesAsFastAs('jax'),
    min: 6,
    show: times,
  },
  {
    unit: 'as fast as TensorFlow.js',
    task: 'training',
    shapes: ['sd15-16'],
    value: timesAsFastAs('tensorflow'),
    min: 12,
    show: times,
  },
  {
    unit: 'of the ceiling, with recomputation',
    task: 'training',
    shapes: crossShapes,
    value: executedShareOfCeiling,
    min: 0.7,
    show: percent,
  },
  {
    unit: 'as fast as one thread',
    threads: 2,
    shapes: crossShapes,
    value: timesOneThread,
    min: 1.8,
    show: times,
    note: ceilingSpeedup,
  },
  {
    unit: 'of the float32 rate',
    dtype: 'float64',
    shapes: crossShapes,
    value: ({ row, inFloat32 }) => inFloat32 && row.gflopsPerSecond / inFloat32.gflopsPerSecond,
    min: 0.4,
    show: percent,
  },
  {
    unit: 'per call without work',
    shapes: ['overhead'],
    value: ({ row }) => row.milliseconds,
    below: 0.01,
    show: microseconds,
  },
];

const isMet = ({ min, below }, value) => (below === undefined ? value >= min : value < below);

/**
 * Checks the measurements against the targets.
 * @returns {{ met: boolean, text: string }[]} one for each target and each measured shape
 */
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
        const { show, below, min, unit, note } = target;
        const bound = below === undefined ? `at least ${show(min)}` : `less than ${show(below)}`;
        const title = [shape.name, dtype, task, row.title].join(', ');
        const mark = met ? '✓' : '✗';
        const text = `${mark} ${title}: ${show(value)} ${unit}; expected ${bound}${note?.(context) ?? ''}`;
        return [{ met, text }];
      });
  });
}
