import { element } from '../../shared/element';
import { FIRST_REQUEST, LIMITS, type PictureRequest } from '../request';

type Values = Pick<PictureRequest, 'seed' | 'steps' | 'guidance'>;

/** Seed, steps and guidance. */
export class Settings {
  readonly #seed = element('seed', HTMLInputElement);
  readonly #steps = new Slider('steps');
  readonly #guidance = new Slider('guidance');

  constructor() {
    this.show(FIRST_REQUEST);
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
    const { least, most } = LIMITS.seed;
    const seed = Math.round(Math.min(most, Math.max(least, this.#seed.valueAsNumber || 0)));
    return { seed, steps: this.#steps.value, guidance: this.#guidance.value };
  }
}

/** A slider that says what it stands at. */
class Slider {
  readonly #input: HTMLInputElement;
  readonly #output: HTMLOutputElement;

  constructor(id: string) {
    this.#input = element(id, HTMLInputElement);
    this.#output = element(`${id}-value`, HTMLOutputElement);
    this.#input.addEventListener('input', () => this.#tell());
  }

  get value(): number {
    return this.#input.valueAsNumber;
  }

  set value(value: number) {
    this.#input.value = String(value);
    this.#tell();
  }

  #tell(): void {
    this.#output.value = this.#input.value;
  }
}
