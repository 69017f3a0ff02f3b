/** Measures the running time and the steps per second over the last second. */
export class Stopwatch {
  #elapsed = 0;
  #startedAt: number | undefined;
  #marks: { readonly seconds: number; readonly step: number }[] = [];

  get seconds(): number {
    const running = this.#startedAt === undefined ? 0 : performance.now() - this.#startedAt;
    return (this.#elapsed + running) / 1000;
  }

  start(): void {
    this.#startedAt ??= performance.now();
  }

  stop(): void {
    this.#elapsed = this.seconds * 1000;
    this.#startedAt = undefined;
  }

  reset(): void {
    this.#elapsed = 0;
    if (this.#startedAt !== undefined) this.#startedAt = performance.now();
    this.#marks = [];
  }

  /** Records the number of steps done and returns the steps per second over about the last second. */
  pace(step: number): number {
    const now = { seconds: this.seconds, step };
    this.#marks.push(now);
    while (this.#marks.length > 2 && now.seconds - this.#marks[1]!.seconds >= 1) this.#marks.shift();
    const first = this.#marks[0]!;
    return now.seconds > first.seconds ? (now.step - first.step) / (now.seconds - first.seconds) : NaN;
  }
}
