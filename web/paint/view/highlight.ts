import { drawImage, element } from '../../shared/element';
import { veilImage } from '../../shared/heat';

const IDLE_CAPTION = 'by the layer, from what it has learned';

/** A veil over the painting that lets through the places where one context vector is attended to. */
export class Highlight {
  readonly #canvas = element('highlight', HTMLCanvasElement);
  readonly #caption = element('painting-caption', HTMLElement);

  /** @param map one byte a pixel, 255 where the attention is strongest */
  show(map: Uint8Array, size: number, caption: string): void {
    drawImage(this.#canvas, veilImage(map, size));
    this.#canvas.setAttribute('data-shown', '');
    this.#caption.textContent = caption;
  }

  hide(): void {
    this.#canvas.removeAttribute('data-shown');
    this.#caption.textContent = IDLE_CAPTION;
  }
}
