/** The results of a run in three figures. */
import { threadsTitle } from '../../../bench/contenders.mjs';
import { isOverhead } from '../../../bench/shapes.mjs';
import { element } from '../../shared/element';
import { ratioTo } from '../figures';
import type { BenchmarkJson, Measurement } from '../messages';
import { percent, shapeTitle, threeDigits, times } from '../titles';

const noValue = '–';

export class Headline {
  readonly #fastest = new Figure();
  readonly #share = new Figure();
  readonly #ratio = new Figure();

  constructor() {
    element('headline', HTMLElement).append(
      ...[this.#fastest, this.#share, this.#ratio].map(({ row }) => row),
    );
    this.clear();
  }

  clear(): void {
    this.#fastest.write(noValue, 'This package at its fastest');
    this.#share.write(noValue, 'of the throughput of the microkernel alone');
    this.#ratio.write(noValue, 'as fast as the fastest of the others');
  }

  show({ measurements: all }: BenchmarkJson): void {
    const measurements = all.filter(({ shape }) => !isOverhead(shape));
    const fastest = measurements
      .flatMap(({ shape, contenders }) => contenders.map((contender) => ({ shape, contender })))
      .filter(({ contender }) => contender.timesAsFastAs !== null)
      .sort((one, other) => other.contender.gflopsPerSecond - one.contender.gflopsPerSecond)[0];
    if (fastest) {
      const { gflopsPerSecond, threads, shareOfCeiling } = fastest.contender;
      const where = `${shapeTitle(fastest.shape)}, ${threadsTitle(threads)}`;
      this.#fastest.write(`${threeDigits(gflopsPerSecond)} GFLOP/s`, where);
      if (shareOfCeiling !== null) this.#share.write(percent(shareOfCeiling));
    }
    this.#ratio.write(range(measurements.flatMap(ratiosToFastest), times));
  }
}

/** Returns, per number of threads, how many times as fast as the fastest peer this package is. */
function ratiosToFastest({ contenders }: Measurement): number[] {
  const smallest = new Map<number, number>();
  for (const contender of contenders) {
    const ratio = ratioTo(contender, contenders);
    if (ratio === null) continue;
    smallest.set(contender.threads, Math.min(ratio, smallest.get(contender.threads) ?? Infinity));
  }
  return [...smallest.values()];
}

/** Formats the range of some values: "1.9 to 2.6 ×". */
function range(values: readonly number[], text: (value: number) => string): string {
  if (values.length === 0) return noValue;
  const [min, max] = [text(Math.min(...values)), text(Math.max(...values))];
  return min === max ? min : `${min.replace(/ \D+$/, '')} to ${max}`;
}

class Figure {
  readonly row = document.createElement('div');
  readonly #title = document.createElement('dt');
  readonly #value = document.createElement('dd');

  constructor() {
    this.row.append(this.#title, this.#value);
  }

  write(text: string, title = this.#title.textContent): void {
    this.#value.textContent = text;
    this.#title.textContent = title;
  }
}
