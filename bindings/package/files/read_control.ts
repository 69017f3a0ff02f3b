// Ends waiting: for a source that makes no progress, after an abort signal, and after close().
import { AbortedError, DisposedError, WeightsError } from '../errors';

export class ReadControl {
  /** The limit of each step in milliseconds. */
  readonly timeout: number;
  readonly #stops = new Set<(reason: Error) => void>();
  #reason: Error | null = null;

  constructor(signal: AbortSignal | undefined, timeout: number) {
    this.timeout = timeout;
    if (signal === undefined) return;
    const abort = (control: ReadControl | undefined): void =>
      control?.stop(new AbortedError('the WeightFile was aborted by its signal', signal.reason));
    if (signal.aborted) abort(this);
    // The signal may live longer than the file.
    const reference = new WeakRef(this);
    signal.addEventListener('abort', () => abort(reference.deref()), { once: true });
  }

  /** Throws the reason if reading has ended. */
  check(): void {
    if (this.#reason !== null) throw this.#reason;
  }

  /** Ends all steps. The first reason counts. */
  stop(reason: Error = new DisposedError('the WeightFile was closed')): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#stops.forEach((stop) => stop(reason));
  }

  /** Calls `stop` when reading ends; returns a function that undoes this. */
  onStop(stop: (reason: Error) => void): () => void {
    this.#stops.add(stop);
    return () => this.#stops.delete(stop);
  }

  /**
   * Waits for a step of a read. The error after the limit begins with `stalled`. An error of the step itself
   * is passed to `failed`, which throws one of this package.
   */
  async step<T>(work: Promise<T>, stalled: () => string, failed: (error: unknown) => never): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let leave = (): void => {};
    const end = new Promise<never>((_, reject) => {
      leave = this.onStop(reject);
      timer = setTimeout(
        () => reject(new WeightsError(`${stalled()} for ${this.timeout / 1000} s`)),
        this.timeout,
      );
    });
    // Both may still be rejected after the other one.
    work.catch(() => {});
    end.catch(() => {});
    try {
      this.check();
      return await Promise.race([work.catch((error: unknown) => (this.check(), failed(error))), end]);
    } finally {
      clearTimeout(timer);
      leave();
    }
  }
}

/** Calls `work` for all items, at most four at a time. Returns the results in order. */
export async function mapFewAtATime<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, items.length) }, worker));
  return results;
}
