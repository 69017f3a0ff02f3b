import { element } from '../../shared/element';
import type { PainterStatus, ProgressNews } from '../messages';

const STATUS_TEXT: Record<PainterStatus, string> = {
  training: 'Learning',
  paused: 'Paused',
  finished: 'Done',
};

/** The figures beside the pictures. `data-value` carries each one unrounded. */
export class Readings {
  readonly #targetName = element('target-name', HTMLElement);
  readonly #psnr = element('psnr', HTMLElement);
  readonly #progress = element('progress', HTMLProgressElement);
  readonly #status = element('status', HTMLElement);
  readonly #steps = element('steps', HTMLElement);
  readonly #loss = element('loss', HTMLElement);
  readonly #pace = element('pace', HTMLElement);
  readonly #elapsed = element('elapsed', HTMLElement);

  showTarget(name: string): void {
    this.#targetName.textContent = name;
  }

  showProgress({ step, plannedSteps, seconds, stepsPerSecond, loss, psnr }: ProgressNews): void {
    write(this.#psnr, psnr, (value) => value.toFixed(1));
    write(this.#loss, loss, (value) => value.toPrecision(2).replace(/e-0?/, 'e−'));
    write(this.#pace, stepsPerSecond, (value) => value.toFixed(value < 10 ? 1 : 0));
    write(this.#elapsed, seconds, clockTime);
    write(
      this.#steps,
      step,
      (value) => `${value.toLocaleString('en')} of ${plannedSteps.toLocaleString('en')} steps`,
    );
    this.#progress.max = plannedSteps;
    this.#progress.value = step;
  }

  showStatus(status: PainterStatus): void {
    this.#status.textContent = STATUS_TEXT[status];
    this.#status.dataset['status'] = status;
  }

  showFailure(): void {
    this.#status.textContent = 'Not running';
    this.#status.dataset['status'] = 'failed';
  }
}

function write(place: HTMLElement, value: number, format: (value: number) => string): void {
  if (Number.isNaN(value)) return;
  place.dataset['value'] = String(value);
  place.textContent = Number.isFinite(value) ? format(value) : '∞';
}

function clockTime(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}
