import { element } from '../../shared/element';

/** A drop-down menu of numbers. */
export class Menu {
  readonly #select: HTMLSelectElement;
  readonly #label: (value: number) => string;

  constructor(
    id: string,
    values: readonly number[],
    onChoice: (value: number) => void,
    label: (value: number) => string = String,
  ) {
    this.#select = element(id, HTMLSelectElement);
    this.#label = label;
    for (const value of values) this.#add(value);
    this.#select.addEventListener('change', () => onChoice(Number(this.#select.value)));
  }

  /** Selects a value. Adds it if it is missing, as after loading a file with another value. */
  choose(value: number): void {
    this.#select.value = String(value);
    if (this.#select.selectedIndex < 0) this.#add(value).selected = true;
  }

  #add(value: number): HTMLOptionElement {
    const option = new Option(this.#label(value), String(value));
    this.#select.add(option);
    return option;
  }
}
