import { drawImage } from '../../shared/element';
import { heatImage } from '../../shared/heat';
import { percent } from '../../shared/percent';
import { limits } from '../request';

/** One word of the prompt: its attention map and its weight. */
export class WordCard {
  readonly card = document.createElement('div');
  readonly button = document.createElement('button');
  readonly word: string;
  readonly #canvas = document.createElement('canvas');
  readonly #slider = document.createElement('input');
  readonly #value = document.createElement('output');

  /** @param onWeight called after the visitor moved the slider and released it */
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

    const { min, max, initial } = limits.weight;
    Object.assign(this.#slider, { type: 'range', min, max, step: 0.1 });
    this.#slider.setAttribute('aria-label', `Weight of “${word}”`);
    this.#slider.addEventListener('input', () => this.#showWeight());
    this.#slider.addEventListener('change', onWeight);
    const weight = document.createElement('p');
    weight.className = 'weight';
    weight.append(this.#slider, this.#value);
    this.weight = initial;
    this.card.append(this.button, weight);
  }

  get weight(): number {
    return this.#slider.valueAsNumber;
  }

  set weight(weight: number) {
    this.#slider.value = String(weight);
    this.#showWeight();
  }

  /** Whether the slider is a stop of the Tab key. */
  set isStop(isStop: boolean) {
    this.#slider.tabIndex = isStop ? 0 : -1;
  }

  show(map: Uint8Array, size: number, peak: number): void {
    drawImage(this.#canvas, heatImage(map, size));
    this.button.dataset['peak'] = String(peak);
    const label = `${this.word}: up to ${percent(peak)} of the attention at one point`;
    this.button.setAttribute('aria-label', label);
  }

  #showWeight(): void {
    const text = `× ${this.weight.toFixed(1)}`;
    this.#value.value = text;
    this.#slider.setAttribute('aria-valuetext', text);
    this.card.toggleAttribute('data-weighted', this.weight !== limits.weight.initial);
  }
}
