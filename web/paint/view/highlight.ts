import { drawingContext, element } from '../../shared/element.ts';

/** How dark the painting gets where nobody looks, 0 to 255. */
const DARKEST = 225;
const IDLE_CAPTION = 'by the layer, from what it has learned';

/** A veil over the painting that lets through the places where one context vector is attended to. */
export class Highlight {
  readonly #canvas = element('highlight', HTMLCanvasElement);
  readonly #caption = element('painting-caption', HTMLElement);

  /** @param map one byte a pixel, 255 where the attention is strongest */
  show(map: Uint8Array, size: number, caption: string): void {
    if (this.#canvas.width !== size) {
      this.#canvas.width = size;
      this.#canvas.height = size;
    }
    const veil = new ImageData(size, size);
    // Black; only the alpha channel differs. The root lifts faint attention into sight.
    for (let pixel = 0; pixel < map.length; pixel++) {
      veil.data[pixel * 4 + 3] = DARKEST * (1 - Math.sqrt(map[pixel]! / 255));
    }
    drawingContext(this.#canvas).putImageData(veil, 0, 0);
    this.#canvas.setAttribute('data-shown', '');
    this.#caption.textContent = caption;
  }

  hide(): void {
    this.#canvas.removeAttribute('data-shown');
    this.#caption.textContent = IDLE_CAPTION;
  }
}
