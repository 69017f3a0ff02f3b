// Prints WebGPU measurements as text.
import { describeShape, notMeasuredLines, table } from '../report.mjs';
import { flopsOf } from '../shapes.mjs';
import { contenders } from './contenders.mjs';
import { summarize } from './summary.mjs';

export function adapterText({
  vendor,
  architecture,
  device,
  description,
  isFallbackAdapter,
  ...capabilities
}) {
  const { subgroupSizes, hasFloat16, hasTimestamps } = capabilities;
  const names = [vendor, architecture, device, description].filter((name) => name).join(', ');
  const subgroups = subgroupSizes
    ? `subgroups of ${[...new Set(subgroupSizes)].join(' to ')}`
    : 'no subgroups';
  return [
    names || 'unnamed adapter',
    ...(isFallbackAdapter ? ['in software'] : []),
    subgroups,
    hasFloat16 ? 'shader-f16' : 'no shader-f16',
    hasTimestamps ? 'timestamp-query' : 'no timestamp-query',
  ].join('; ');
}

const milliseconds = (time) => time.toFixed(2);
const times = (ratio) => ratio?.toFixed(2) ?? '';

const head = [
  '',
  'first call',
  'upload',
  'compute',
  'read',
  'total, ms',
  'GFLOP/s',
  'compute / ours',
  'total / ours',
  'error',
];

/** Returns the table of one shape. */
export function measurementTable(measurement) {
  const rows = summarize(measurement).map((row) => [
    row.label,
    milliseconds(row.firstMilliseconds),
    ...(row.wrong
      ? ['WRONG', '', '', '', '', '', '']
      : [
          milliseconds(row.uploadMilliseconds),
          milliseconds(row.computeMilliseconds),
          milliseconds(row.readMilliseconds),
          milliseconds(row.totalMilliseconds),
          row.gflopsPerSecond.toFixed(1),
          times(row.computeTimesOurs),
          times(row.totalTimesOurs),
        ]),
    row.error.toExponential(1),
  ]);
  const work = (flopsOf(measurement.shape, 'forward') / 1e9).toFixed(3);
  return `${describeShape(measurement.shape)}, ${work} GFLOP\n${table([head, ...rows])}`;
}

/** Lists the contenders that were not measured, with reasons. */
export const notMeasuredText = (notMeasured) =>
  notMeasuredLines(notMeasured.map(({ name, reason }) => ({ title: contenders[name].label, reason })));
