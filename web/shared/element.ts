/** Returns the element with this id. Throws if the page has no such element of this type. */
export function element<Kind extends Element>(
  id: string,
  kind: abstract new (...args: never[]) => Kind,
): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} with the id "${id}".`);
  return found;
}

/** Returns the 2D context of a canvas. Throws if the browser has no memory for it. */
export function drawingContext(
  canvas: HTMLCanvasElement,
  settings?: CanvasRenderingContext2DSettings,
): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', settings);
  if (!context) throw new Error('The browser could not create a 2D drawing context.');
  return context;
}

/** Draws an image on a canvas and resizes the canvas to it. The style sheet sets the displayed size. */
export function drawImage(canvas: HTMLCanvasElement, image: ImageData): void {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  drawingContext(canvas).putImageData(image, 0, 0);
}
