import { drawImage, element } from '../../shared/element';
import { heatImage, veilImage } from '../../shared/heat';
import { differenceOf, imageOf, type Pixels } from '../pixels';

/** The large picture, the picture before an edit, and overlays with the attention or the changes. */
export class PictureView {
  readonly #picture = element('picture', HTMLCanvasElement);
  readonly #caption = element('picture-caption', HTMLElement);
  readonly #title = element('picture-title', HTMLElement);
  readonly #veil = element('veil', HTMLCanvasElement);
  readonly #difference = element('difference', HTMLCanvasElement);
  readonly #before = element('before', HTMLCanvasElement);
  readonly #beforeCaption = element('before-caption', HTMLElement);
  readonly #beforeFigure = element('before-figure', HTMLElement);
  readonly #studio = element('studio', HTMLElement);
  readonly #differenceToggle = element('show-difference', HTMLButtonElement);
  readonly #smoothToggle = element('smooth', HTMLButtonElement);
  #pixels: Pixels | undefined;
  #beforePixels: Pixels | undefined;
  #idleCaption = '';

  constructor() {
    onToggle(this.#differenceToggle, () => this.#showDifference());
    onToggle(this.#smoothToggle, (isSmooth) => this.#studio.toggleAttribute('data-smooth', isSmooth));
  }

  get isSmooth(): boolean {
    return isPressed(this.#smoothToggle);
  }

  /** Prepares for a picture of this prompt. `before`: the picture that it edits, shown next to it. */
  prepare(prompt: string, before?: { readonly prompt: string; readonly pixels: Pixels }): void {
    this.#studio.toggleAttribute('data-editing', before !== undefined);
    this.#beforeFigure.hidden = this.#differenceToggle.hidden = before === undefined;
    this.#title.textContent = before ? 'After' : 'Picture';
    this.#idleCaption = prompt;
    this.#caption.textContent = prompt;
    this.#beforePixels = before?.pixels;
    if (before) {
      drawImage(this.#before, imageOf(before.pixels));
      this.#before.setAttribute('aria-label', `Before the edit: ${before.prompt}`);
      this.#beforeCaption.textContent = before.prompt;
    }
    this.#showDifference();
  }

  show(pixels: Pixels, step: number, steps: number): void {
    this.#pixels = pixels;
    drawImage(this.#picture, imageOf(pixels));
    this.#picture.dataset['step'] = String(step);
    const when = step < steps ? `, after step ${step} of ${steps}` : '';
    this.#picture.setAttribute('aria-label', `Picture: ${this.#idleCaption}${when}`);
    this.#showDifference();
  }

  /** Darkens the picture except where a word is attended to; see WordMaps. */
  highlight(map: Uint8Array, size: number, caption: string): void {
    drawImage(this.#veil, veilImage(map, size));
    this.#veil.setAttribute('data-shown', '');
    this.#caption.textContent = caption;
  }

  clearHighlight(): void {
    this.#veil.removeAttribute('data-shown');
    this.#caption.textContent = this.#idleCaption;
  }

  #showDifference(): void {
    const isShown = isPressed(this.#differenceToggle) && !this.#differenceToggle.hidden;
    this.#difference.hidden = !isShown;
    if (!isShown || !this.#pixels || !this.#beforePixels) return;
    drawImage(
      this.#difference,
      heatImage(differenceOf(this.#pixels, this.#beforePixels), this.#before.width),
    );
  }
}

const isPressed = (button: HTMLButtonElement): boolean => button.getAttribute('aria-pressed') === 'true';

function onToggle(button: HTMLButtonElement, act: (isPressed: boolean) => void): void {
  button.addEventListener('click', () => {
    button.setAttribute('aria-pressed', String(!isPressed(button)));
    act(isPressed(button));
  });
}
