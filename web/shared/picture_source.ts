/** A square picture at the size that the model uses. */
export interface Picture {
  readonly name: string;
  /** Pixels along a side. */
  readonly size: number;
  /** RGBA bytes, opaque. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture that can be scaled to any size. */
export interface PictureSource {
  /** Returns the middle square of the picture, scaled to `size` × `size` pixels. */
  at(size: number): Picture;
}

/** Decodes a picture file. Throws with a message for visitors if the browser cannot read it. */
export async function decodePicture(file: File): Promise<PictureSource> {
  try {
    return new BitmapSource(file.name, await createImageBitmap(file));
  } catch {
    throw new Error(
      `“${file.name}” is not a picture that this browser can read. ` +
        'Expected a PNG, JPEG, WebP, GIF or AVIF file.',
    );
  }
}

/** Returns a picture that was read from a weights file, which is already small and square. */
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
    // Some browsers do not average when they shrink a picture by more than half at once.
    while (canvas.side > size) {
      const smaller = squareCanvas(nextSide(canvas.side, size));
      smaller.context.drawImage(canvas.surface, 0, 0, smaller.side, smaller.side);
      canvas = smaller;
    }
    const { data } = canvas.context.getImageData(0, 0, size, size);
    return { name: this.#name, size, pixels: new Uint8ClampedArray(data) };
  }

  /** The first reduction: cuts out the middle square and puts white behind transparent pixels. */
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
  if (!context) throw new Error('The browser could not create a 2D drawing context to scale the picture.');
  context.imageSmoothingQuality = 'high';
  return { side, surface, context };
}

/** Half the side, at least the target size, and at most 16 times the target size to limit the memory used. */
function nextSide(side: number, target: number): number {
  return Math.max(target, Math.min(Math.ceil(side / 2), target * 16));
}
