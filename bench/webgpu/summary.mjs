// What was measured on WebGPU, in figures. No Node in here.
import { median } from '../measure.mjs';
import { flopsOf } from '../shapes.mjs';
import { contenders, ours } from './contenders.mjs';
import { mostRelativeError } from './measurement.mjs';

const totalOf = ({ upload, compute, read }) => upload + compute + read;

/**
 * Medians over the rounds; ratios are taken within each round first. Rows by the time that they compute; those with a wrong
 * result come last, without figures.
 */
export function summarize({ shape, records }) {
  const reference = records.find(({ name }) => name === ours);
  const rows = records.map(({ name, error, first, rounds }) => {
    const { label } = contenders[name];
    const wrong = !(error <= mostRelativeError);
    const row = { name, label, error, wrong, firstMilliseconds: totalOf(first), first, rounds };
    if (wrong) return row;
    const of = (part) => median(rounds.map(part));
    const timesOurs = (part) =>
      reference === undefined || reference.rounds.length !== rounds.length
        ? null
        : median(rounds.map((one, index) => part(one) / part(reference.rounds[index])));
    const computeOf = ({ compute }) => compute;
    return {
      ...row,
      uploadMilliseconds: of(({ upload }) => upload),
      computeMilliseconds: of(computeOf),
      readMilliseconds: of(({ read }) => read),
      totalMilliseconds: of(totalOf),
      gflopsPerSecond: flopsOf(shape, 'forward') / of(computeOf) / 1e6,
      computeTimesOurs: timesOurs(computeOf),
      totalTimesOurs: timesOurs(totalOf),
    };
  });
  const rank = ({ wrong, computeMilliseconds }) => (wrong ? Infinity : computeMilliseconds);
  return rows.sort((one, other) => (rank(one) < rank(other) ? -1 : Number(rank(one) > rank(other))));
}

/** Everything, for programs. */
export const toJson = ({ machine, browser, adapter }, measurements) => ({
  date: new Date().toISOString(),
  machine,
  browser,
  adapter,
  measurements: measurements.map(({ shape, records, notMeasured }) => ({
    shape,
    dtype: 'float32',
    task: 'forward',
    flops: flopsOf(shape, 'forward'),
    contenders: summarize({ shape, records }),
    notMeasured,
  })),
});
