import { drawImage, element } from '../../shared/element';
import { imageOf, type Pixels } from '../pixels';
import { shapeColour } from './colours';
import { PICTURES } from './messages';

interface Item {
  readonly pixels: Pixels;
  /** What its shape is called before its name: "red", or nothing. */
  readonly colour: string | undefined;
  readonly row: HTMLElement;
  readonly caption: HTMLInputElement;
}

/** The pictures of a new word, each with a caption. */
export class LessonPictures {
  readonly #list = element('lesson-list', HTMLElement);
  readonly #count = element('picture-count', HTMLElement);
  readonly #onChange: () => void;
  #items: Item[] = [];
  #word = '';

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#tellCount();
  }

  get isEnough(): boolean {
    return this.#items.length >= PICTURES.least;
  }

  get isFull(): boolean {
    return this.#items.length >= PICTURES.most;
  }

  get pixels(): Pixels[] {
    return this.#items.map(({ pixels }) => pixels);
  }

  /**
   * Of each picture: what was written; where nothing was, what stands there in its place, and the word alone. So the word
   * can be said with any colour, as all of the captions that the model learned from have one, and without.
   */
  get captions(): string[][] {
    return this.#items.map(({ colour, caption }) => {
      const written = caption.value.trim();
      if (written) return [written];
      return colour === undefined ? [this.#said()] : [this.#said(colour), this.#said()];
    });
  }

  set word(word: string) {
    this.#word = word;
    for (const { colour, caption } of this.#items) caption.placeholder = this.#said(colour);
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
    caption.placeholder = this.#said(colour);
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
    this.#tell();
  }

  #remove(item: Item): void {
    const place = this.#items.indexOf(item);
    this.#items = this.#items.filter((other) => other !== item);
    item.row.remove();
    // The focus goes to the picture that has taken the place, else it would be lost.
    const next = this.#items[Math.min(place, this.#items.length - 1)];
    (next?.row.querySelector('button') ?? element('choose-pictures', HTMLButtonElement)).focus();
    this.#tell();
  }

  #said(colour?: string): string {
    const word = this.#word || '…';
    return colour === undefined ? `a ${word}` : `${colour === 'orange' ? 'an' : 'a'} ${colour} ${word}`;
  }

  #tell(): void {
    this.#tellCount();
    this.#onChange();
  }

  #tellCount(): void {
    this.#count.textContent = `${this.#items.length} of ${PICTURES.most}`;
  }
}
