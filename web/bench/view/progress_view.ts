/** How far the benchmark is: a bar, whose turn it is, and the clock. */
import { element } from '../../shared/element';
import type { ProgressNews } from '../messages';
import { clockTime } from '../titles';

const STAGE_TEXT: Record<ProgressNews['stage'], string> = {
  loading: 'Loading',
  preparing: 'Preparing',
  measuring: 'Measuring',
};

/** Before that, the rest is anybody's guess. */
const LEAST_DONE = 0.08;

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

  /** `where`: the measurement, in words. Screen readers hear of it; not of every turn, for turns are short. */
  showProgress({ stage, title, done }: ProgressNews, where: string | null): void {
    this.#show(done);
    if (where !== null) this.#write('running', where);
    this.#turn.textContent = `${STAGE_TEXT[stage]} ${title}`;
  }

  /** The end of a run, however it came; `note`: what else there is to know. */
  end(status: Exclude<RunStatus, 'ready' | 'running'>, text: string, note = ''): void {
    clearInterval(this.#ticking);
    if (status === 'finished') this.#show(1);
    this.#write(status, text);
    this.#turn.textContent = note;
    this.#clock.textContent = clockTime(this.#elapsed());
  }

  /** While nothing runs: what Start would do. */
  invite(text: string): void {
    this.#show(0);
    this.#write('ready', text);
    this.#turn.textContent = '';
    this.#clock.textContent = '';
  }

  #tick(): void {
    const elapsed = this.#elapsed();
    const rest = (elapsed * (1 - this.#done)) / this.#done;
    const isKnown = this.#done >= LEAST_DONE;
    this.#clock.textContent = `${clockTime(elapsed)}${isKnown ? `, about ${clockTime(rest)} to go` : ''}`;
  }

  #elapsed(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  #show(done: number): void {
    // Never back: contenders that leave early change what is to come.
    this.#done = done === 0 ? 0 : Math.max(this.#done, done);
    this.#bar.value = this.#done;
  }

  #write(status: RunStatus, text: string): void {
    this.#status.dataset['status'] = status;
    // The same text again would be read out again.
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }
}
