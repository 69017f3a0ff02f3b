import { element } from '../../shared/element';
import type { FinishedEvent, FrameEvent } from '../messages';

export type Status = 'starting' | 'drawing' | 'finished' | 'cancelled' | 'failed';

/** Progress of the current picture. */
export class ProgressView {
  readonly #bar = element('progress', HTMLProgressElement);
  readonly #status = element('status', HTMLElement);
  readonly #clock = element('clock', HTMLElement);

  start(isBase: boolean): void {
    this.#bar.value = 0;
    this.#clock.textContent = '';
    this.#write('drawing', isBase ? 'Drawing the picture to edit…' : 'Drawing…');
  }

  showFrame({ step, steps, milliseconds }: FrameEvent): void {
    this.#bar.max = steps;
    this.#bar.value = step;
    const rest = ((steps - step) * milliseconds) / 1000;
    this.#clock.textContent = `step ${step} of ${steps}${step < steps ? `, ${rest.toFixed(1)} s to go` : ''}`;
  }

  finish({ seconds }: FinishedEvent): void {
    this.#write('finished', `Done in ${seconds.toFixed(1)} s`);
  }

  end(status: 'cancelled' | 'failed', text: string): void {
    this.#write(status, text);
  }

  #write(status: Status, text: string): void {
    this.#status.dataset['status'] = status;
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }
}
