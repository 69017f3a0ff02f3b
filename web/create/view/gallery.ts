import { drawImage, element } from '../../shared/element';
import { imageOf, type Pixels } from '../pixels';
import { keyOf, type PictureRequest } from '../request';

const maxPictures = 60;

/** The pictures of this visit, latest first. A click on one restores its prompt and settings. */
export class Gallery {
  readonly #list = element('gallery', HTMLElement);
  readonly #items = new Map<string, HTMLElement>();
  readonly #restore: (request: PictureRequest) => void;

  constructor(restore: (request: PictureRequest) => void) {
    this.#restore = restore;
  }

  /** Adds a picture. If it is already there, marks it as the current one. */
  add(request: PictureRequest, pixels: Pixels): void {
    const key = keyOf(request);
    const known = this.#items.get(key);
    const item = known ?? this.#item(request);
    drawImage(item.querySelector('canvas')!, imageOf(pixels));
    for (const other of this.#items.values()) other.firstElementChild!.removeAttribute('aria-current');
    item.firstElementChild!.setAttribute('aria-current', 'true');
    if (known) return;
    this.#items.set(key, item);
    this.#list.prepend(item);
    const [oldest] = this.#items.keys();
    if (this.#items.size <= maxPictures || oldest === undefined) return;
    this.#items.get(oldest)!.remove();
    this.#items.delete(oldest);
  }

  #item(request: PictureRequest): HTMLElement {
    const { prompt, seed, edit } = request;
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.title = `${prompt}, seed ${seed}${edit ? `, edited from “${edit.from}”` : ''}`;
    button.setAttribute('aria-label', button.title);
    button.append(document.createElement('canvas'));
    button.addEventListener('click', () => this.#restore(request));
    item.append(button);
    return item;
  }
}
