import { drawImage, element } from '../../shared/element';

/** A canvas in the size of the picture. The style sheet sets the displayed size. */
export class PictureView {
  readonly #canvas: HTMLCanvasElement;

  constructor(id: string) {
    this.#canvas = element(id, HTMLCanvasElement);
  }

  show(pixels: Uint8ClampedArray<ArrayBuffer>, size: number): void {
    drawImage(this.#canvas, new ImageData(pixels, size, size));
  }
}
