/**
 * All that the page and the benchmark's worker say to each other. The page never measures and the worker never touches
 * the document; this file is the border. There is no command to stop: the page ends the worker, and with it all that it
 * started.
 */

/** What the visitor chose: names of shapes and tasks, ids of contenders. The worker begins when it is told. */
export interface Choices {
  readonly shapes: readonly string[];
  readonly tasks: readonly string[];
  readonly contenders: readonly string[];
  readonly threads: readonly number[];
  /** For each contender in each measurement. */
  readonly seconds: number;
}

/** What the worker tells the page. */
export type News =
  | ProgressNews
  | MeasuredNews
  | { readonly kind: 'finished'; readonly json: BenchmarkJson }
  | { readonly kind: 'failed'; readonly message: string };

export interface ProgressNews {
  readonly kind: 'progress';
  readonly stage: 'loading' | 'preparing' | 'measuring';
  /** The contender whose turn it is. */
  readonly title: string;
  /** The measurement that it belongs to, as in plan.ts; null while loading. */
  readonly measurement: string | null;
  /** Of everything, 0 to 1. */
  readonly done: number;
}

/** One measurement has come to its end, and this is everything so far. */
export interface MeasuredNews {
  readonly kind: 'measured';
  readonly measurement: string;
  readonly json: BenchmarkJson;
}

/** What the benchmark writes, in Node as in a page; of it what the page looks at. */
export interface BenchmarkJson {
  readonly date: string;
  readonly machine: Record<string, unknown>;
  readonly measurements: readonly Measurement[];
}

export interface Measurement {
  readonly shape: { readonly name: string };
  readonly dtype: string;
  readonly task: string;
  readonly flops: number;
  readonly contenders: readonly MeasuredContender[];
  readonly notMeasured: readonly { readonly title: string; readonly reason: string }[];
}

/** Medians over the rounds. */
export interface MeasuredContender {
  readonly title: string;
  readonly label: string;
  readonly name: string;
  readonly simd?: string;
  readonly threads: number;
  readonly milliseconds: number;
  readonly gflopsPerSecond: number;
  readonly shareOfCeiling: number | null;
  /** All that the contender did over the formula's work; null where it does not count. */
  readonly doneOverFlops: number | null;
  /** Our speed over each peer's with as many threads, by the peers' labels; null for peers. */
  readonly timesAsFastAs: Record<string, number> | null;
  readonly memory: Record<string, number> | null;
  /** `ceiling`: what the microkernel by itself reached right before, in GFLOP/s. */
  readonly rounds: readonly { readonly ceiling: number | null }[];
}
