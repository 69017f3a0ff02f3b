/** Figures that the page computes from the results of a run. */
import { quantile } from '../../bench/measure.mjs';
import type { BenchmarkJson, MeasuredContender } from './messages';

/** Returns the fastest result of this package with this number of threads. */
function ourFastest(threads: number, all: readonly MeasuredContender[]): MeasuredContender | undefined {
  return all
    .filter((one) => one.timesAsFastAs !== null && one.threads === threads)
    .sort((one, other) => one.milliseconds - other.milliseconds)[0];
}

/**
 * Returns how many times as fast as this peer our fastest result is; null for our own results, and if there
 * is none to compare with.
 */
export function ratioTo(contender: MeasuredContender, all: readonly MeasuredContender[]): number | null {
  if (contender.timesAsFastAs !== null) return null;
  return ourFastest(contender.threads, all)?.timesAsFastAs?.[contender.label] ?? null;
}

/** Returns the peak memory of a first forward pass beyond input, output and weights; null if unknown. */
export function memoryBeyondOutput({ memory }: MeasuredContender): number | null {
  const { forwardPeakBytes, outputBytes } = memory ?? {};
  return forwardPeakBytes === undefined || outputBytes === undefined ? null : forwardPeakBytes - outputBytes;
}

/**
 * Returns the spread of the ceiling: its interquartile range over its median. The ceiling is always the same
 * work, so that its spread shows how busy the machine was. The maximum over all contenders with one thread;
 * null if there is no ceiling.
 */
export function ceilingSpread({ measurements }: BenchmarkJson): number | null {
  const spreads = measurements
    .flatMap(({ contenders }) => contenders)
    .filter(({ threads }) => threads === 1)
    .map(({ rounds }) => rounds.map(({ ceiling }) => ceiling).filter((ceiling) => ceiling !== null))
    .filter((ceilings) => ceilings.length > 0)
    .map((ceilings) => (quantile(ceilings, 0.75) - quantile(ceilings, 0.25)) / quantile(ceilings, 0.5));
  return spreads.length > 0 ? Math.max(...spreads) : null;
}
