/**
 * Makes a row or grid of buttons one stop of the Tab key ("roving tabindex"). The arrow keys, Home and End
 * move the focus between the buttons. Only keys that are pressed on a button count, so that sliders between
 * them keep their arrow keys.
 */
export class RovingFocus {
  readonly #container: HTMLElement;
  readonly #onStop: (index: number) => void;
  #stop = 0;

  /** @param onStop called with the index of the button that becomes the stop of the Tab key */
  constructor(container: HTMLElement, onStop: (index: number) => void = () => undefined) {
    this.#container = container;
    this.#onStop = onStop;
    container.addEventListener('keydown', (event) => this.#move(event));
    container.addEventListener('focusin', (event) => {
      const index = this.#buttons().indexOf(event.target as HTMLButtonElement);
      if (index >= 0) this.stopAt(index);
    });
  }

  /** Makes the button with this index the stop. Must also be called after the buttons were replaced. */
  stopAt(index: number): void {
    const buttons = this.#buttons();
    this.#stop = Math.max(0, Math.min(index, buttons.length - 1));
    for (const [other, button] of buttons.entries()) button.tabIndex = other === this.#stop ? 0 : -1;
    this.#onStop(this.#stop);
  }

  get stop(): number {
    return this.#stop;
  }

  #move(event: KeyboardEvent): void {
    const buttons = this.#buttons();
    const from = buttons.indexOf(event.target as HTMLButtonElement);
    if (from < 0) return;
    const columns = columnsOf(buttons);
    const moves: Record<string, number> = {
      ArrowLeft: from - 1,
      ArrowRight: from + 1,
      ArrowUp: from - columns,
      ArrowDown: from + columns,
      Home: 0,
      End: buttons.length - 1,
    };
    const to = moves[event.key];
    if (to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[to].focus();
  }

  #buttons(): HTMLButtonElement[] {
    return [...this.#container.querySelectorAll('button')];
  }
}

/** Returns the number of buttons in the first row. */
function columnsOf(buttons: readonly HTMLButtonElement[]): number {
  const top = buttons[0]?.offsetTop;
  const below = buttons.findIndex(({ offsetTop }) => offsetTop !== top);
  return below < 0 ? buttons.length : below;
}
