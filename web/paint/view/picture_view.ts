import { drawImage, element } from '../../shared/element';

/** A canvas with as many pixels as the picture; the style sheet makes them large. */
export class PictureView {
  readonly #canvas: HTMLCanvasElement;

  constructor(id: string) {
    this.#canvas = element(id, HTMLCanvasElement);
  }

  show(pixels: Uint8ClampedArray<ArrayBuffer>, size: number): void {
    drawImage(this.#canvas, new ImageData(pixels, size, size));
  }
}
