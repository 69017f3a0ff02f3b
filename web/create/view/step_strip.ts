import { drawImage, element } from '../../shared/element';
import { RovingFocus } from '../../shared/roving_focus';
import { imageOf, type Pixels } from '../pixels';

/** A thumbnail per step. The latest step is shown until the visitor chooses one. */
export class StepStrip {
  readonly #strip = element('strip', HTMLElement);
  readonly #focus = new RovingFocus(this.#strip);
  readonly #onChoice: (step: number) => void;
  #chosen: number | undefined;

  /** @param onChoice called with the step, from 1, that the visitor chose */
  constructor(onChoice: (step: number) => void) {
    this.#onChoice = onChoice;
  }

  /** The step that the visitor chose, from 1; undefined if none was chosen and the latest is shown. */
  get chosen(): number | undefined {
    return this.#chosen;
  }

  clear(): void {
    this.#chosen = undefined;
    this.#strip.replaceChildren();
  }

  add(pixels: Pixels): void {
    const step = this.#strip.childElementCount + 1;
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
      this.#onChoice(step);
    });
    this.#strip.append(button);
    if (this.#chosen !== undefined) return;
    this.#mark(step);
    if (!this.#strip.contains(document.activeElement)) this.#focus.stopAt(step - 1);
    this.#strip.scrollLeft = this.#strip.scrollWidth;
  }

  #mark(step: number): void {
    for (const [index, button] of [...this.#strip.children].entries()) {
      if (index === step - 1) button.setAttribute('aria-current', 'step');
      else button.removeAttribute('aria-current');
    }
  }
}
