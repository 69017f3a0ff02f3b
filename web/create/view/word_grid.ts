import { element } from '../../shared/element';
import { percent } from '../../shared/percent';
import { RovingFocus } from '../../shared/roving_focus';
import type { WordMaps } from '../messages';
import { limits } from '../request';
import type { PictureView } from './picture_view';
import { WordCard } from './word_card';

/**
 * The words of the prompt. The grid is one stop of the Tab key and the slider of the current word is another;
 * the arrow keys move between words. The word under the pointer is highlighted in the picture, else the
 * focused one, else the pressed one.
 */
export class WordGrid {
  readonly #grid = element('words', HTMLElement);
  readonly #reset = element('reset-weights', HTMLButtonElement);
  readonly #focus = new RovingFocus(this.#grid, (index) => {
    for (const [other, card] of this.#cards.entries()) card.isStop = other === index;
  });
  readonly #pictureView: PictureView;
  readonly #onWeights: (weights: readonly number[]) => void;
  #cards: WordCard[] = [];
  #maps: WordMaps | undefined;
  #pointed: number | undefined;
  #focused: number | undefined;
  #pressed: number | undefined;

  constructor(pictureView: PictureView, onWeights: (weights: readonly number[]) => void) {
    this.#pictureView = pictureView;
    this.#onWeights = onWeights;
    this.#grid.addEventListener('pointerover', (event) =>
      this.#point(event.pointerType === 'mouse' ? this.#indexOf(event) : undefined),
    );
    this.#grid.addEventListener('pointerleave', () => this.#point(undefined));
    this.#grid.addEventListener('focusin', (event) => {
      const index = this.#indexOf(event);
      // Clicks set the focus, too; only focus by keyboard highlights a word.
      const isByKeyboard = index !== undefined && this.#cards[index]!.button.matches(':focus-visible');
      this.#highlight({ focused: isByKeyboard ? index : undefined });
    });
    this.#grid.addEventListener('focusout', () => this.#highlight({ focused: undefined }));
    this.#grid.addEventListener('click', (event) => this.#press(this.#indexOf(event)));
    this.#grid.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#press(this.#pressed);
    });
    this.#reset.addEventListener('click', () => {
      for (const card of this.#cards) card.weight = limits.weight.initial;
      this.#reportWeights();
    });
  }

  /** Shows the words of a prompt. Reuses the cards if the words are the same, which keeps the focus. */
  showWords(words: readonly string[], weights: readonly number[]): void {
    const isSame = words.join(' ') === this.#cards.map(({ word }) => word).join(' ');
    if (!isSame) {
      this.#cards = words.map((word) => new WordCard(word, () => this.#reportWeights()));
      this.#maps = undefined;
      this.#pointed = this.#focused = this.#pressed = undefined;
      this.#grid.replaceChildren(...this.#cards.map(({ card }) => card));
      this.#focus.stopAt(0);
      this.#pictureView.clearHighlight();
    }
    for (const [index, card] of this.#cards.entries()) {
      card.weight = weights[index] ?? limits.weight.initial;
    }
    this.#showReset();
  }

  show(maps: WordMaps): void {
    this.#maps = maps;
    for (const [index, card] of this.#cards.entries()) {
      card.show(mapOf(maps, index), maps.size, maps.peaks[index] ?? 0);
    }
    this.#highlight({});
  }

  #reportWeights(): void {
    this.#showReset();
    this.#onWeights(this.#cards.map(({ weight }) => weight));
  }

  #showReset(): void {
    this.#reset.disabled = this.#cards.every(({ weight }) => weight === limits.weight.initial);
  }

  #point(index: number | undefined): void {
    if (index === this.#pointed) return;
    this.#pointed = index;
    this.#highlight({});
  }

  #press(index: number | undefined): void {
    if (index === undefined) return;
    this.#pressed = this.#pressed === index ? undefined : index;
    for (const [other, { button }] of this.#cards.entries())
      button.setAttribute('aria-pressed', String(other === this.#pressed));
    this.#highlight({});
  }

  #highlight(change: { readonly focused?: number | undefined }): void {
    if ('focused' in change) this.#focused = change.focused;
    const index = this.#pointed ?? this.#focused ?? this.#pressed;
    const card = index === undefined ? undefined : this.#cards[index];
    if (index === undefined || !card || !this.#maps) {
      this.#pictureView.clearHighlight();
      return;
    }
    const caption = `attention to “${card.word}” (up to ${percent(this.#maps.peaks[index] ?? 0)})`;
    this.#pictureView.highlight(mapOf(this.#maps, index), this.#maps.size, caption);
  }

  #indexOf(event: Event): number | undefined {
    const button = event.target instanceof Element ? event.target.closest('button') : null;
    const index = this.#cards.findIndex((card) => card.button === button);
    return index < 0 ? undefined : index;
  }
}

function mapOf({ bytes, size }: WordMaps, index: number): Uint8Array {
  return bytes.subarray(index * size * size, (index + 1) * size * size);
}
