/**
 * A row or grid of buttons that is one stop of the Tab key; inside it the arrows move, Home and End, too. Only keys pressed on
 * a button count: a slider beside it has the arrows for itself.
 */
export class RovingFocus {
  readonly #place: HTMLElement;
  readonly #onStop: (index: number) => void;
  #stop = 0;

  /** @param onStop told whenever another button becomes the Tab key's stop */
  constructor(place: HTMLElement, onStop: (index: number) => void = () => undefined) {
    this.#place = place;
    this.#onStop = onStop;
    place.addEventListener('keydown', (event) => this.#move(event));
    place.addEventListener('focusin', (event) => {
      const index = this.#buttons().indexOf(event.target as HTMLButtonElement);
      if (index >= 0) this.stopAt(index);
    });
  }

  /** Also to be called when the buttons have changed. */
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
    return [...this.#place.querySelectorAll('button')];
  }
}

/** How many stand in the first row. */
function columnsOf(buttons: readonly HTMLButtonElement[]): number {
  const top = buttons[0]?.offsetTop;
  const below = buttons.findIndex(({ offsetTop }) => offsetTop !== top);
  return below < 0 ? buttons.length : below;
}
