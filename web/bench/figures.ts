/** What the page makes of the benchmark's figures; all of them come from measurements of one run. */
import { quantile } from '../../bench/measure.mjs';
import type { BenchmarkJson, MeasuredContender } from './messages';

/** Of ours the one that a peer with so many threads is compared with: the faster SIMD of those measured. */
function ourFastest(threads: number, all: readonly MeasuredContender[]): MeasuredContender | undefined {
  return all
    .filter((one) => one.timesAsFastAs !== null && one.threads === threads)
    .sort((one, other) => one.milliseconds - other.milliseconds)[0];
}

/** How many times as fast as this peer ours is; null for ours, and where there is none to compare with. */
export function ratioTo(contender: MeasuredContender, all: readonly MeasuredContender[]): number | null {
  if (contender.timesAsFastAs !== null) return null;
  return ourFastest(contender.threads, all)?.timesAsFastAs?.[contender.label] ?? null;
}

/** What a first forward took beyond input, output and weights, where the contender tells. */
export function memoryBeyondOutput({ memory }: MeasuredContender): number | null {
  const { forwardPeakBytes, outputBytes } = memory ?? {};
  return forwardPeakBytes === undefined || outputBytes === undefined ? null : forwardPeakBytes - outputBytes;
}

/**
 * How far the ceiling swung, which by itself is always the same work: half of its rounds lie within this share of the
 * median. The largest over all contenders of one thread; null where no ceiling was measured.
 */
export function unrest({ measurements }: BenchmarkJson): number | null {
  const swings = measurements
    .flatMap(({ contenders }) => contenders)
    .filter(({ threads }) => threads === 1)
    .map(({ rounds }) => rounds.map(({ ceiling }) => ceiling).filter((ceiling) => ceiling !== null))
    .filter((ceilings) => ceilings.length > 0)
    .map((ceilings) => (quantile(ceilings, 0.75) - quantile(ceilings, 0.25)) / quantile(ceilings, 0.5));
  return swings.length > 0 ? Math.max(...swings) : null;
}
