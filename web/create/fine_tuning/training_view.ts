import { drawImage, element } from '../../shared/element';
import { imageOf, type Pixels } from '../pixels';
import type { LossCurve } from './loss_curve';
import type { LessonNews } from './messages';

/** How a lesson goes. */
export class LessonView {
  readonly #view = element('lesson-view', HTMLElement);
  readonly #bar = element('lesson-progress', HTMLProgressElement);
  readonly #status = element('lesson-status', HTMLElement);
  readonly #clock = element('lesson-clock', HTMLElement);
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
    // A library that only those need who teach.
    this.#curve ??= import('./loss_curve').then(
      ({ LossCurve }) => new LossCurve(element('loss-curve', HTMLElement)),
    );
    void this.#curve.then((curve) => curve.clear());
  }

  show(news: LessonNews): void {
    this.#bar.value = news.seconds;
    const rest = Math.max(0, Math.ceil(this.#seconds - news.seconds));
    this.#clock.textContent = `step ${news.step}, ${rest} s to go`;
    void this.#curve?.then((curve) => curve.add(news));
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
