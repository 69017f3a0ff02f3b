import { drawImage, element } from '../../shared/element';
import { veilImage } from '../../shared/heat';

const idleCaption = 'what the layer has learned so far';

/** A dark overlay on the painting, transparent where pixels attend to one context vector. */
export class Highlight {
  readonly #canvas = element('highlight', HTMLCanvasElement);
  readonly #caption = element('painting-caption', HTMLElement);

  /** @param map one byte per pixel, 255 where the attention is strongest */
  show(map: Uint8Array, size: number, caption: string): void {
    drawImage(this.#canvas, veilImage(map, size));
    this.#canvas.setAttribute('data-shown', '');
    this.#caption.textContent = caption;
  }

  hide(): void {
    this.#canvas.removeAttribute('data-shown');
    this.#caption.textContent = idleCaption;
  }
}
