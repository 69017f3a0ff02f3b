import { element } from './element';

/** The place where the page says what went wrong. Screen readers announce it. */
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
