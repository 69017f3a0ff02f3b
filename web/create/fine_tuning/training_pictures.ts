import { drawImage, element } from '../../shared/element';
import { imageOf, type Pixels } from '../pixels';
import { shapeColour } from './colours';
import { pictureCount } from './messages';

interface Item {
  readonly pixels: Pixels;
  /** Colour of its shape, for the caption; undefined if the model has no name for it. */
  readonly colour: string | undefined;
  readonly row: HTMLElement;
  readonly caption: HTMLInputElement;
}

/** The list of pictures of a new word, each with a caption. */
export class TrainingPictures {
  readonly #list = element('training-list', HTMLElement);
  readonly #count = element('picture-count', HTMLElement);
  readonly #onChange: () => void;
  #items: Item[] = [];
  #word = '';

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#showCount();
  }

  get isEnough(): boolean {
    return this.#items.length >= pictureCount.min;
  }

  get isFull(): boolean {
    return this.#items.length >= pictureCount.max;
  }

  get pixels(): Pixels[] {
    return this.#items.map(({ pixels }) => pixels);
  }

  /**
   * Per picture: the caption that the visitor wrote. If it is empty: the placeholder with the colour and one
   * without, so that the word later works with any colour and without one.
   */
  get captions(): string[][] {
    return this.#items.map(({ colour, caption }) => {
      const written = caption.value.trim();
      if (written) return [written];
      const withoutColour = this.#defaultCaption();
      return colour === undefined ? [withoutColour] : [this.#defaultCaption(colour), withoutColour];
    });
  }

  set word(word: string) {
    this.#word = word;
    for (const { colour, caption } of this.#items) caption.placeholder = this.#defaultCaption(colour);
  }

  add(pixels: Pixels): void {
    if (this.isFull) return;
    const row = document.createElement('li');
    const canvas = document.createElement('canvas');
    drawImage(canvas, imageOf(pixels));
    const colour = shapeColour(pixels);
    const caption = document.createElement('input');
    caption.type = 'text';
    caption.maxLength = 120;
    caption.placeholder = this.#defaultCaption(colour);
    caption.setAttribute('aria-label', 'Caption');
    const remove = document.createElement('button');
    remove.type = 'button';
    remove.className = 'icon-button';
    remove.setAttribute('aria-label', 'Remove this picture');
    remove.innerHTML = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="m5 5 10 10M15 5 5 15" /></svg>';
    const item: Item = { pixels, colour, row, caption };
    remove.addEventListener('click', () => this.#remove(item));
    row.append(canvas, caption, remove);
    this.#list.append(row);
    this.#items.push(item);
    this.#changed();
  }

  #remove(item: Item): void {
    const index = this.#items.indexOf(item);
    this.#items = this.#items.filter((other) => other !== item);
    item.row.remove();
    // The removed button had the focus; it moves to the picture that is now at this index.
    const next = this.#items[Math.min(index, this.#items.length - 1)];
    (next?.row.querySelector('button') ?? element('choose-pictures', HTMLButtonElement)).focus();
    this.#changed();
  }

  #defaultCaption(colour?: string): string {
    const word = this.#word || '…';
    return colour === undefined ? `a ${word}` : `${colour === 'orange' ? 'an' : 'a'} ${colour} ${word}`;
  }

  #changed(): void {
    this.#showCount();
    this.#onChange();
  }

  #showCount(): void {
    this.#count.textContent = `${this.#items.length} of ${pictureCount.max}`;
  }
}
