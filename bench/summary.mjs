// Summarizes measurements for tables, charts and JSON files. Uses no Node API: pages use it, too.
import { median, quantile } from './measure.mjs';
import { countedMilliseconds } from './measurement.mjs';
import { flopsOf, tasks } from './shapes.mjs';

/** Returns medians over the rounds. Ratios are computed within each round first. */
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
      /** Operations as the contender counts them (including recomputation), relative to the formula. */
      doneOverFlops: flopsDone === null ? null : flopsDone / flops,
      cores: rounds[0].cores === null ? null : median(rounds.map(({ cores }) => cores)),
      timesAsFastAs: timesAsFast(record, records),
      differenceFromFirst: difference,
      memory,
      rounds,
    };
  });
}

/**
 * Returns the speed of this package relative to each peer with the same number of threads, by the peer's
 * label.
 */
function timesAsFast(record, records) {
  const { entry, rounds } = record;
  const { simd, threads } = entry.options;
  if (!simd) return null;
  const peers = records.filter(({ entry: { options } }) => !options.simd && options.threads === threads);
  const ratioTo = (peer) => {
    // A slow peer has fewer rounds.
    const common = Math.min(rounds.length, peer.rounds.length);
    const counted = (one, index) => countedMilliseconds(threads, one.rounds[index]);
    const ratio = (_, index) => counted(peer, index) / counted(record, index);
    return median(Array.from({ length: common }, ratio));
  };
  return Object.fromEntries(peers.map((peer) => [peer.entry.label, ratioTo(peer)]));
}

/** Returns all results as JSON. */
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
