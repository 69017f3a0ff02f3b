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
export function drawingContext(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('This browser gave no drawing context.');
  return context;
}
