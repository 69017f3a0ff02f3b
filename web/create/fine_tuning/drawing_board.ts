import { drawingContext, element } from '../../shared/element';
import type { Pixels } from '../pixels';
import { paletteColours } from './colours';

const initialColour = 'red';
const boardBackground = 'rgb(255 255 255)';

/** A small canvas to draw on with a pointer. */
export class DrawingBoard {
  readonly #canvas = element('board', HTMLCanvasElement);
  readonly #context = drawingContext(this.#canvas, { willReadFrequently: true });
  readonly #brush = element('brush', HTMLInputElement);
  readonly #palette = element('palette', HTMLElement);
  #last: { readonly x: number; readonly y: number } | undefined;

  constructor(onAdd: (pixels: Pixels) => void) {
    this.#context.lineCap = this.#context.lineJoin = 'round';
    this.#fill(boardBackground);
    this.#palette.append(...paletteColours.map(([name, css]) => brushColour(name, css)));
    this.#canvas.addEventListener('pointerdown', (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#last = this.#positionOf(event);
      this.#draw(this.#last);
    });
    this.#canvas.addEventListener('pointermove', (event) => {
      if (!this.#last) return;
      // Several moves may lie between two frames.
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.#draw(this.#positionOf(part));
    });
    for (const end of ['pointerup', 'pointercancel'])
      this.#canvas.addEventListener(end, () => (this.#last = undefined));
    element('fill-board', HTMLButtonElement).addEventListener('click', () => this.#fill(this.#colour()));
    element('add-drawing', HTMLButtonElement).addEventListener('click', () => onAdd(this.#pixels()));
  }

  #draw(position: { readonly x: number; readonly y: number }): void {
    const context = this.#context;
    context.strokeStyle = this.#colour();
    context.lineWidth = this.#brush.valueAsNumber;
    context.beginPath();
    context.moveTo(this.#last?.x ?? position.x, this.#last?.y ?? position.y);
    context.lineTo(position.x, position.y);
    context.stroke();
    this.#last = position;
  }

  #fill(colour: string): void {
    this.#context.fillStyle = colour;
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #colour(): string {
    return this.#palette.querySelector<HTMLInputElement>('input:checked')?.value ?? boardBackground;
  }

  #pixels(): Pixels {
    const { width, height } = this.#canvas;
    return new Uint8ClampedArray(this.#context.getImageData(0, 0, width, height).data);
  }

  #positionOf({ clientX, clientY }: MouseEvent): { x: number; y: number } {
    const box = this.#canvas.getBoundingClientRect();
    const scale = this.#canvas.width / box.width;
    return { x: (clientX - box.left) * scale, y: (clientY - box.top) * scale };
  }
}

function brushColour(name: string, css: string): HTMLElement {
  const label = document.createElement('label');
  label.style.setProperty('--paint', css);
  label.title = name;
  const input = document.createElement('input');
  Object.assign(input, { type: 'radio', name: 'paint', value: css, checked: name === initialColour });
  input.setAttribute('aria-label', name);
  label.append(input);
  return label;
}
