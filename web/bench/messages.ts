/**
 * The message from the page to the benchmark's worker, and the events from the worker to the page. There is
 * no message to stop a run: the page terminates the worker and, with it, the workers that it started.
 */

/** The visitor's choices: names of shapes and tasks, ids of contenders. They start a run. */
export interface Choices {
  readonly shapes: readonly string[];
  readonly tasks: readonly string[];
  readonly contenders: readonly string[];
  readonly threads: readonly number[];
  /** Measuring time of each contender in each measurement. */
  readonly seconds: number;
}

/** From the worker to the page. */
export type BenchmarkEvent =
  | BenchmarkProgressEvent
  | MeasuredEvent
  | { readonly kind: 'finished'; readonly json: BenchmarkJson }
  | { readonly kind: 'failed'; readonly message: string };

export interface BenchmarkProgressEvent {
  readonly kind: 'progress';
  readonly stage: 'loading' | 'preparing' | 'measuring';
  /** The contender that is being loaded or measured. */
  readonly title: string;
  /** Id of the measurement, see plan.ts; null while loading. */
  readonly measurement: string | null;
  /** Share of the whole run, 0 to 1. */
  readonly done: number;
}

/** A measurement is finished. `json` has all results so far. */
export interface MeasuredEvent {
  readonly kind: 'measured';
  readonly measurement: string;
  readonly json: BenchmarkJson;
}

/** The part of the benchmark's JSON that the page uses. It is the same in Node and in the page. */
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
  /** Operations done, relative to the formula's count; null if the contender does not count them. */
  readonly doneOverFlops: number | null;
  /** By label of each peer: our speed relative to its speed with as many threads. Null for peers. */
  readonly timesAsFastAs: Record<string, number> | null;
  readonly memory: Record<string, number> | null;
  /** `ceiling`: throughput of the microkernel alone right before the round, in GFLOP/s. */
  readonly rounds: readonly { readonly ceiling: number | null }[];
}
