import { element } from '../../shared/element';
import type { PainterStatus, TrainingProgressEvent } from '../messages';

const statusLabels: Record<PainterStatus, string> = {
  training: 'Training',
  paused: 'Paused',
  finished: 'Done',
};

/** The figures next to the pictures. `data-value` has the unrounded value of each. */
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

  showProgress({ step, plannedSteps, seconds, stepsPerSecond, loss, psnr }: TrainingProgressEvent): void {
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
    this.#status.textContent = statusLabels[status];
    this.#status.dataset['status'] = status;
  }

  showFailure(): void {
    this.#status.textContent = 'Not running';
    this.#status.dataset['status'] = 'failed';
  }
}

function write(output: HTMLElement, value: number, format: (value: number) => string): void {
  if (Number.isNaN(value)) return;
  output.dataset['value'] = String(value);
  output.textContent = Number.isFinite(value) ? format(value) : '∞';
}

function clockTime(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}
