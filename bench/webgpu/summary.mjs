// Summarizes WebGPU measurements. Uses no Node API.
import { median } from '../measure.mjs';
import { flopsOf } from '../shapes.mjs';
import { contenders, ours } from './contenders.mjs';
import { maxRelativeError } from './measurement.mjs';

const totalOf = ({ upload, compute, read }) => upload + compute + read;

/**
 * Returns medians over the rounds, sorted by compute time. Ratios are computed within each round first.
 * Contenders with a wrong result come last, without times.
 */
export function summarize({ shape, records }) {
  const reference = records.find(({ name }) => name === ours);
  const rows = records.map(({ name, error, first, rounds }) => {
    const { label } = contenders[name];
    const wrong = !(error <= maxRelativeError);
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

/** Returns all results as JSON. */
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
