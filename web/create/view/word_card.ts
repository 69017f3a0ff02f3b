import { drawImage } from '../../shared/element';
import { heatImage } from '../../shared/heat';
import { LIMITS } from '../request';

/** One word of the prompt: its map, and how much it counts. */
export class WordCard {
  readonly card = document.createElement('div');
  readonly button = document.createElement('button');
  readonly word: string;
  readonly #canvas = document.createElement('canvas');
  readonly #slider = document.createElement('input');
  readonly #value = document.createElement('output');

  /** @param onWeight told when a visitor has let go of the slider */
  constructor(word: string, onWeight: () => void) {
    this.word = word;
    this.card.className = 'word';
    this.button.type = 'button';
    this.button.className = 'word-map';
    this.button.setAttribute('aria-pressed', 'false');
    this.button.setAttribute('aria-label', word);
    this.#canvas.width = this.#canvas.height = 8;
    const label = document.createElement('span');
    label.textContent = word;
    this.button.append(this.#canvas, label);

    const { least, most, first } = LIMITS.weight;
    Object.assign(this.#slider, { type: 'range', min: least, max: most, step: 0.1 });
    this.#slider.setAttribute('aria-label', `Weight of “${word}”`);
    this.#slider.addEventListener('input', () => this.#tell());
    this.#slider.addEventListener('change', onWeight);
    const weight = document.createElement('p');
    weight.className = 'weight';
    weight.append(this.#slider, this.#value);
    this.weight = first;
    this.card.append(this.button, weight);
  }

  get weight(): number {
    return this.#slider.valueAsNumber;
  }

  set weight(weight: number) {
    this.#slider.value = String(weight);
    this.#tell();
  }

  /** Whether button and slider are stops of the Tab key. */
  set isStop(isStop: boolean) {
    this.#slider.tabIndex = isStop ? 0 : -1;
  }

  show(map: Uint8Array, size: number, peak: number): void {
    drawImage(this.#canvas, heatImage(map, size));
    this.button.dataset['peak'] = String(peak);
    this.button.setAttribute('aria-label', `${this.word}: up to ${percent(peak)} of a place’s attention`);
  }

  #tell(): void {
    const text = `× ${this.weight.toFixed(1)}`;
    this.#value.value = text;
    this.#slider.setAttribute('aria-valuetext', text);
    this.card.toggleAttribute('data-weighted', this.weight !== LIMITS.weight.first);
  }
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;
}
