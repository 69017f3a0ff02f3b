import { drawImage, element } from '../../shared/element';
import { imageOf, type Pixels } from '../pixels';
import { RovingFocus } from '../../shared/roving_focus';

/** A thumbnail for every step. The latest is looked at until one is pressed. */
export class StepStrip {
  readonly #place = element('strip', HTMLElement);
  readonly #focus = new RovingFocus(this.#place);
  readonly #look: (step: number) => void;
  #chosen: number | undefined;

  /** @param look told of the step, from 1, that a visitor wants to see */
  constructor(look: (step: number) => void) {
    this.#look = look;
  }

  /** The step that is looked at, from 1; the latest one where none was pressed. */
  get chosen(): number | undefined {
    return this.#chosen;
  }

  clear(): void {
    this.#chosen = undefined;
    this.#place.replaceChildren();
  }

  add(pixels: Pixels): void {
    const step = this.#place.childElementCount + 1;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'step';
    button.tabIndex = step === 1 ? 0 : -1;
    button.setAttribute('aria-label', `Step ${step}`);
    const canvas = document.createElement('canvas');
    drawImage(canvas, imageOf(pixels));
    button.append(canvas);
    button.addEventListener('click', () => {
      this.#chosen = step;
      this.#mark(step);
      this.#look(step);
    });
    this.#place.append(button);
    if (this.#chosen !== undefined) return;
    this.#mark(step);
    if (!this.#place.contains(document.activeElement)) this.#focus.stopAt(step - 1);
    this.#place.scrollLeft = this.#place.scrollWidth;
  }

  #mark(step: number): void {
    for (const [index, button] of [...this.#place.children].entries()) {
      if (index === step - 1) button.setAttribute('aria-current', 'step');
      else button.removeAttribute('aria-current');
    }
  }
}
