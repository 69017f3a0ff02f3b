import { element } from './element';

/** The box in which the page shows errors. Screen readers announce them. */
export class Notice {
  readonly #box = element('notice', HTMLElement);
  readonly #text = element('notice-text', HTMLElement);

  constructor() {
    element('notice-close', HTMLButtonElement).addEventListener('click', () => this.clear());
  }

  show(message: string): void {
    this.#box.hidden = false;
    this.#text.textContent = message;
  }

  clear(): void {
    this.#box.hidden = true;
    this.#text.textContent = '';
  }
}
