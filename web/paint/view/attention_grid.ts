import { drawImage, element } from '../../shared/element';
import { heatImage } from '../../shared/heat';
import { percent } from '../../shared/percent';
import { RovingFocus } from '../../shared/roving_focus';
import type { AttentionEvent } from '../messages';
import { Highlight } from './highlight';

interface MapView {
  readonly button: HTMLButtonElement;
  readonly canvas: HTMLCanvasElement;
  /** Shows the colour of the vector. */
  readonly swatch: HTMLElement;
  readonly share: HTMLElement;
}

/**
 * One attention map per context vector. The grid is one stop of the Tab key; the arrow keys move between
 * maps. The vector under the pointer is highlighted in the painting, else the focused one, else the pressed
 * one.
 */
export class AttentionGrid {
  readonly #grid = element('attention-grid', HTMLElement);
  readonly #focusStop = new RovingFocus(this.#grid);
  readonly #highlight = new Highlight();
  #views: MapView[] = [];
  #event: AttentionEvent | undefined;
  #pointed: number | undefined;
  #focused: number | undefined;
  #pressed: number | undefined;

  constructor() {
    this.#grid.addEventListener('pointerover', (event) =>
      this.#point(event.pointerType === 'mouse' ? this.#indexOf(event) : undefined),
    );
    this.#grid.addEventListener('pointerleave', () => this.#point(undefined));
    this.#grid.addEventListener('focusin', (event) => this.#focus(this.#indexOf(event)));
    this.#grid.addEventListener('focusout', () => this.#focus(undefined));
    this.#grid.addEventListener('click', (event) => this.#press(this.#indexOf(event)));
    this.#grid.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#press(this.#pressed);
    });
  }

  showContextLength(length: number): void {
    if (length === this.#views.length) return;
    this.#views = Array.from({ length }, (_, index) => createView(index));
    this.#event = undefined;
    this.#pointed = this.#focused = this.#pressed = undefined;
    this.#grid.dataset['columns'] = String(Math.min(16, length));
    this.#grid.replaceChildren(...this.#views.map((view) => view.button));
    this.#focusStop.stopAt(0);
    this.#updateHighlight();
  }

  show(event: AttentionEvent): void {
    this.#event = event;
    const { size, maps, shares, peaks } = event;
    for (const [index, view] of this.#views.entries()) {
      drawImage(view.canvas, heatImage(mapOf(event, index), size));
      const share = percent(shares[index] ?? 0);
      view.share.textContent = share;
      view.share.dataset['value'] = String(shares[index] ?? 0);
      view.swatch.style.background = `rgb(${event.colours.subarray(index * 3, index * 3 + 3).join(' ')})`;
      view.button.setAttribute(
        'aria-label',
        `Vector ${index + 1}: ${share} of all attention, up to ${percent(peaks[index] ?? 0)} at one pixel`,
      );
    }
    if (maps.length > 0) this.#updateHighlight();
  }

  #point(index: number | undefined): void {
    if (index === this.#pointed) return;
    this.#pointed = index;
    this.#updateHighlight();
  }

  #focus(index: number | undefined): void {
    // Clicks set the focus, too; only focus by keyboard highlights a vector.
    this.#focused =
      index !== undefined && this.#views[index]?.button.matches(':focus-visible') ? index : undefined;
    this.#updateHighlight();
  }

  #press(index: number | undefined): void {
    if (index === undefined) return;
    this.#pressed = this.#pressed === index ? undefined : index;
    for (const [other, view] of this.#views.entries())
      view.button.setAttribute('aria-pressed', String(other === this.#pressed));
    this.#updateHighlight();
  }

  #updateHighlight(): void {
    const index = this.#pointed ?? this.#focused ?? this.#pressed;
    if (index === undefined || !this.#event) {
      this.#highlight.hide();
      return;
    }
    const peak = percent(this.#event.peaks[index] ?? 0);
    this.#highlight.show(
      mapOf(this.#event, index),
      this.#event.size,
      `attention to vector ${index + 1} (up to ${peak})`,
    );
  }

  #indexOf(event: Event): number | undefined {
    const button = event.target instanceof Element ? event.target.closest('button') : null;
    const index = this.#views.findIndex((view) => view.button === button);
    return index < 0 ? undefined : index;
  }
}

function createView(index: number): MapView {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'attention-map';
  button.setAttribute('aria-pressed', 'false');
  button.setAttribute('aria-label', `Vector ${index + 1}`);
  const canvas = document.createElement('canvas');
  const caption = document.createElement('span');
  caption.className = 'map-caption';
  const swatch = document.createElement('i');
  const share = document.createElement('span');
  caption.append(swatch, share);
  button.append(canvas, caption);
  return { button, canvas, swatch, share };
}

function mapOf({ maps, size }: AttentionEvent, index: number): Uint8Array {
  return maps.subarray(index * size * size, (index + 1) * size * size);
}
