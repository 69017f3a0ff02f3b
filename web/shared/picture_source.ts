/** A square picture at the size at which it is used. */
export interface Picture {
  readonly name: string;
  /** Pixels along a side. */
  readonly size: number;
  /** RGBA bytes, opaque. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture that can be had at any size. */
export interface PictureSource {
  at(size: number): Picture;
}

/** A picture file of the visitor's. The error says what is wrong with it, in words for the visitor. */
export async function decodePicture(file: File): Promise<PictureSource> {
  try {
    return new BitmapSource(file.name, await createImageBitmap(file));
  } catch {
    throw new Error(
      `“${file.name}” is not a picture that this browser can read. PNG, JPEG, WebP, GIF and AVIF usually are.`,
    );
  }
}

/** A picture out of a weights file, which is already small and square. */
export async function restorePicture({ name, size, pixels }: Picture): Promise<PictureSource> {
  return new BitmapSource(name, await createImageBitmap(new ImageData(pixels, size, size)));
}

class BitmapSource implements PictureSource {
  readonly #name: string;
  readonly #bitmap: ImageBitmap;

  constructor(name: string, bitmap: ImageBitmap) {
    this.#name = name;
    this.#bitmap = bitmap;
  }

  at(size: number): Picture {
    let canvas = this.#middleSquare(size);
    // Not every browser averages when it shrinks a lot at once; by halves, every one does.
    while (canvas.side > size) {
      const smaller = squareCanvas(nextSide(canvas.side, size));
      smaller.context.drawImage(canvas.surface, 0, 0, smaller.side, smaller.side);
      canvas = smaller;
    }
    const { data } = canvas.context.getImageData(0, 0, size, size);
    return { name: this.#name, size, pixels: new Uint8ClampedArray(data) };
  }

  /** The first step down; on white where the picture is transparent. */
  #middleSquare(size: number): SquareCanvas {
    const { width, height } = this.#bitmap;
    const side = Math.min(width, height);
    const canvas = squareCanvas(nextSide(side, size));
    const { context } = canvas;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.side, canvas.side);
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    context.drawImage(this.#bitmap, left, top, side, side, 0, 0, canvas.side, canvas.side);
    return canvas;
  }
}

interface SquareCanvas {
  readonly side: number;
  readonly surface: OffscreenCanvas;
  readonly context: OffscreenCanvasRenderingContext2D;
}

function squareCanvas(side: number): SquareCanvas {
  const surface = new OffscreenCanvas(side, side);
  const context = surface.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('This browser gave no drawing context to scale the picture with.');
  context.imageSmoothingQuality = 'high';
  return { side, surface, context };
}

/** Half the side, but not less than what is wanted, and never a canvas that is needlessly large. */
function nextSide(side: number, wanted: number): number {
  return Math.max(wanted, Math.min(Math.ceil(side / 2), wanted * 16));
}
