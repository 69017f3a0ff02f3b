import { element } from '../../shared/element';
import type { WordMaps } from '../messages';
import { LIMITS } from '../request';
import { RovingFocus } from '../../shared/roving_focus';
import type { Stage } from './picture_view';
import { percent, WordCard } from './word_card';

/**
 * The words of the prompt. The grid is one stop of the Tab key, and the slider of that word another; the arrows move.
 * Pointing, focusing or pressing lights up a word's part of the picture, in rising order of insistence.
 */
export class WordGrid {
  readonly #grid = element('words', HTMLElement);
  readonly #reset = element('reset-weights', HTMLButtonElement);
  readonly #focus = new RovingFocus(this.#grid, (index) => {
    for (const [other, card] of this.#cards.entries()) card.isStop = other === index;
  });
  readonly #stage: Stage;
  readonly #onWeights: (weights: readonly number[]) => void;
  #cards: WordCard[] = [];
  #maps: WordMaps | undefined;
  #pointed: number | undefined;
  #focused: number | undefined;
  #pressed: number | undefined;

  constructor(stage: Stage, onWeights: (weights: readonly number[]) => void) {
    this.#stage = stage;
    this.#onWeights = onWeights;
    this.#grid.addEventListener('pointerover', (event) =>
      this.#point(event.pointerType === 'mouse' ? this.#indexOf(event) : undefined),
    );
    this.#grid.addEventListener('pointerleave', () => this.#point(undefined));
    this.#grid.addEventListener('focusin', (event) => {
      const index = this.#indexOf(event);
      // A press of the mouse focuses too; only the keyboard's focus is a wish to see.
      const isWish = index !== undefined && this.#cards[index]!.button.matches(':focus-visible');
      this.#light({ focused: isWish ? index : undefined });
    });
    this.#grid.addEventListener('focusout', () => this.#light({ focused: undefined }));
    this.#grid.addEventListener('click', (event) => this.#press(this.#indexOf(event)));
    this.#grid.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#press(this.#pressed);
    });
    this.#reset.addEventListener('click', () => {
      for (const card of this.#cards) card.weight = LIMITS.weight.first;
      this.#tellWeights();
    });
  }

  /** The same words again keep their cards, and so the focus. */
  showWords(words: readonly string[], weights: readonly number[]): void {
    const isSame = words.join(' ') === this.#cards.map(({ word }) => word).join(' ');
    if (!isSame) {
      this.#cards = words.map((word) => new WordCard(word, () => this.#tellWeights()));
      this.#maps = undefined;
      this.#pointed = this.#focused = this.#pressed = undefined;
      this.#grid.replaceChildren(...this.#cards.map(({ card }) => card));
      this.#focus.stopAt(0);
      this.#stage.unlight();
    }
    for (const [index, card] of this.#cards.entries()) {
      card.weight = weights[index] ?? LIMITS.weight.first;
    }
    this.#showReset();
  }

  show(maps: WordMaps): void {
    this.#maps = maps;
    for (const [index, card] of this.#cards.entries()) {
      card.show(mapOf(maps, index), maps.size, maps.peaks[index] ?? 0);
    }
    this.#light({});
  }

  #tellWeights(): void {
    this.#showReset();
    this.#onWeights(this.#cards.map(({ weight }) => weight));
  }

  #showReset(): void {
    this.#reset.disabled = this.#cards.every(({ weight }) => weight === LIMITS.weight.first);
  }

  #point(index: number | undefined): void {
    if (index === this.#pointed) return;
    this.#pointed = index;
    this.#light({});
  }

  #press(index: number | undefined): void {
    if (index === undefined) return;
    this.#pressed = this.#pressed === index ? undefined : index;
    for (const [other, { button }] of this.#cards.entries())
      button.setAttribute('aria-pressed', String(other === this.#pressed));
    this.#light({});
  }

  #light(change: { readonly focused?: number | undefined }): void {
    if ('focused' in change) this.#focused = change.focused;
    const index = this.#pointed ?? this.#focused ?? this.#pressed;
    const card = index === undefined ? undefined : this.#cards[index];
    if (index === undefined || !card || !this.#maps) {
      this.#stage.unlight();
      return;
    }
    const caption = `lit where “${card.word}” is looked at, up to ${percent(this.#maps.peaks[index] ?? 0)}`;
    this.#stage.light(mapOf(this.#maps, index), this.#maps.size, caption);
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
