import { drawImage, element } from '../../shared/element';
import { imageOf, type Pixels } from '../pixels';
import type { LossCurve } from './loss_curve';
import type { FineTuningProgressEvent } from './messages';

/** Progress of a training: status, preview and loss. */
export class TrainingView {
  readonly #view = element('training-view', HTMLElement);
  readonly #bar = element('training-progress', HTMLProgressElement);
  readonly #status = element('training-status', HTMLElement);
  readonly #clock = element('training-clock', HTMLElement);
  readonly #preview = element('preview', HTMLCanvasElement);
  #curve: Promise<LossCurve> | undefined;
  #seconds = 0;

  start(word: string, seconds: number): void {
    this.#seconds = seconds;
    this.#bar.max = seconds;
    this.#bar.value = 0;
    this.#clock.textContent = '';
    this.#view.hidden = false;
    this.#write(`Teaching “${word}”…`);
    // Loads the plotting library only when a training starts.
    this.#curve ??= import('./loss_curve').then(
      ({ LossCurve }) => new LossCurve(element('loss-curve', HTMLElement)),
    );
    void this.#curve.then((curve) => curve.clear());
  }

  show(event: FineTuningProgressEvent): void {
    this.#bar.value = event.seconds;
    const rest = Math.max(0, Math.ceil(this.#seconds - event.seconds));
    this.#clock.textContent = `step ${event.step}, ${rest} s to go`;
    void this.#curve?.then((curve) => curve.add(event));
  }

  showPreview(pixels: Pixels): void {
    drawImage(this.#preview, imageOf(pixels));
  }

  end(text: string): void {
    this.#clock.textContent = '';
    this.#write(text);
  }

  #write(text: string): void {
    this.#status.textContent = text;
  }
}
