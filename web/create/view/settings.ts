import { element } from '../../shared/element';
import { initialRequest, limits, type PictureRequest } from '../request';

type Values = Pick<PictureRequest, 'seed' | 'steps' | 'guidance'>;

/** The fields for seed, steps and guidance. */
export class Settings {
  readonly #seed = element('seed', HTMLInputElement);
  readonly #steps = new Slider('steps');
  readonly #guidance = new Slider('guidance');

  constructor() {
    this.show(initialRequest);
  }

  set seed(seed: number) {
    this.#seed.value = String(seed);
  }

  show({ seed, steps, guidance }: Values): void {
    this.seed = seed;
    this.#steps.value = steps;
    this.#guidance.value = guidance;
  }

  values(): Values {
    const { min, max } = limits.seed;
    const seed = Math.round(Math.min(max, Math.max(min, this.#seed.valueAsNumber || 0)));
    return { seed, steps: this.#steps.value, guidance: this.#guidance.value };
  }
}

/** A slider that shows its value. */
class Slider {
  readonly #input: HTMLInputElement;
  readonly #output: HTMLOutputElement;

  constructor(id: string) {
    this.#input = element(id, HTMLInputElement);
    this.#output = element(`${id}-value`, HTMLOutputElement);
    this.#input.addEventListener('input', () => this.#showValue());
  }

  get value(): number {
    return this.#input.valueAsNumber;
  }

  set value(value: number) {
    this.#input.value = String(value);
    this.#showValue();
  }

  #showValue(): void {
    this.#output.value = this.#input.value;
  }
}
