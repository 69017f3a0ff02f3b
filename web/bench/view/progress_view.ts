/** Progress of a run: a bar, the current contender and the time. */
import { element } from '../../shared/element';
import type { BenchmarkProgressEvent } from '../messages';
import { clockTime } from '../titles';

const stageLabels: Record<BenchmarkProgressEvent['stage'], string> = {
  loading: 'Loading',
  preparing: 'Preparing',
  measuring: 'Measuring',
};

/** Before this share of the run, the remaining time cannot be estimated. */
const minDoneForEstimate = 0.08;

export type RunStatus = 'ready' | 'running' | 'finished' | 'stopped' | 'failed';

export class ProgressView {
  readonly #bar = element('progress', HTMLProgressElement);
  readonly #status = element('status', HTMLElement);
  readonly #turn = element('turn', HTMLElement);
  readonly #clock = element('clock', HTMLElement);
  #startedAt = 0;
  #done = 0;
  #ticking = 0;

  start(): void {
    this.#startedAt = performance.now();
    this.#show(0);
    this.#write('running', 'Loading the contenders');
    this.#ticking = window.setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  /**
   * @param measurement title of the measurement. Screen readers announce it, but not the contenders, which
   *   change quickly.
   */
  showProgress({ stage, title, done }: BenchmarkProgressEvent, measurement: string | null): void {
    this.#show(done);
    if (measurement !== null) this.#write('running', measurement);
    this.#turn.textContent = `${stageLabels[stage]} ${title}`;
  }

  /** Shows the end of a run. `note` is shown below the status. */
  end(status: Exclude<RunStatus, 'ready' | 'running'>, text: string, note = ''): void {
    clearInterval(this.#ticking);
    if (status === 'finished') this.#show(1);
    this.#write(status, text);
    this.#turn.textContent = note;
    this.#clock.textContent = clockTime(this.#elapsed());
  }

  /** Shows what Start would do, while nothing runs. */
  showReady(text: string): void {
    this.#show(0);
    this.#write('ready', text);
    this.#turn.textContent = '';
    this.#clock.textContent = '';
  }

  #tick(): void {
    const elapsed = this.#elapsed();
    const rest = (elapsed * (1 - this.#done)) / this.#done;
    const isKnown = this.#done >= minDoneForEstimate;
    this.#clock.textContent = `${clockTime(elapsed)}${isKnown ? `, about ${clockTime(rest)} to go` : ''}`;
  }

  #elapsed(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  #show(done: number): void {
    // The bar never moves back, although contenders that fail change the remaining work.
    this.#done = done === 0 ? 0 : Math.max(this.#done, done);
    this.#bar.value = this.#done;
  }

  #write(status: RunStatus, text: string): void {
    this.#status.dataset['status'] = status;
    // Screen readers would announce the same text again.
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }
}
