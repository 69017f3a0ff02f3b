/** The element with this id; the pages are static, so a missing one is a mistake of ours and says which. */
export function element<Kind extends Element>(
  id: string,
  kind: abstract new (...args: never[]) => Kind,
): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} with the id "${id}".`);
  return found;
}

/** A canvas's drawing context; null only where a browser has run out of memory for it. */
export function drawingContext(
  canvas: HTMLCanvasElement,
  settings?: CanvasRenderingContext2DSettings,
): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', settings);
  if (!context) throw new Error('This browser gave no drawing context.');
  return context;
}

/** Makes a canvas show an image and nothing else: it gets as many pixels; the style sheet makes them large. */
export function drawImage(canvas: HTMLCanvasElement, image: ImageData): void {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  drawingContext(canvas).putImageData(image, 0, 0);
}
