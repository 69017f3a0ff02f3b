// What was measured, in figures: for tables, for charts and for programs. No Node in here: pages show it as well.
import { median, quantile } from './measure.mjs';
import { countedMilliseconds } from './measurement.mjs';
import { flopsOf, tasks } from './shapes.mjs';

/** Medians over the rounds; ratios are taken within each round first. */
export function summarize({ shape, task, records }) {
  const flops = flopsOf(shape, task);
  return records.map((record) => {
    const { entry, rounds, memory, flopsDone, difference } = record;
    const counted = rounds.map((one) => countedMilliseconds(entry.options.threads, one));
    const shares = rounds
      .map(({ ceiling }, index) => ceiling && flops / counted[index] / 1e6 / ceiling)
      .filter((share) => share !== null);
    const hasCeiling = shares.length > 0;
    return {
      title: entry.title,
      label: entry.label,
      name: entry.name,
      ...entry.options,
      clockMilliseconds: median(rounds.map(({ milliseconds }) => milliseconds)),
      milliseconds: median(counted),
      gflopsPerSecond: flops / median(counted) / 1e6,
      ceilingGflopsPerSecond: hasCeiling ? median(rounds.map(({ ceiling }) => ceiling)) : null,
      shareOfCeiling: hasCeiling ? median(shares) : null,
      shareQuartiles: hasCeiling ? [quantile(shares, 0.25), quantile(shares, 0.75)] : null,
      /** With all that the contender does, by its own count: what it computes a second time. */
      doneOverFlops: flopsDone === null ? null : flopsDone / flops,
      cores: rounds[0].cores === null ? null : median(rounds.map(({ cores }) => cores)),
      timesAsFastAs: timesAsFast(record, records),
      differenceFromFirst: difference,
      memory,
      rounds,
    };
  });
}

/** Our speed over each peer's with as many threads, by the peers' labels: ratios within each round. */
function timesAsFast(record, records) {
  const { entry, rounds } = record;
  const { simd, threads } = entry.options;
  if (!simd) return null;
  const peers = records.filter(({ entry: { options } }) => !options.simd && options.threads === threads);
  const ratioTo = (peer) => {
    // A slow peer leaves after fewer rounds.
    const both = Math.min(rounds.length, peer.rounds.length);
    const counted = (one, index) => countedMilliseconds(threads, one.rounds[index]);
    return median(Array.from({ length: both }, (_, index) => counted(peer, index) / counted(record, index)));
  };
  return Object.fromEntries(peers.map((peer) => [peer.entry.label, ratioTo(peer)]));
}

/** Everything, for programs. */
export function toJson(measurements, machine) {
  return {
    date: new Date().toISOString(),
    machine,
    flopsFormulas: Object.fromEntries(Object.entries(tasks).map(([name, { flops }]) => [name, flops])),
    measurements: measurements.map(({ shape, dtype, task, records, notMeasured }) => ({
      shape,
      dtype,
      task,
      flops: flopsOf(shape, task),
      contenders: summarize({ shape, task, records }),
      notMeasured: notMeasured.map(({ entry: { title, label, name, options }, reason }) => ({
        title,
        label,
        name,
        ...options,
        reason,
      })),
    })),
  };
}
