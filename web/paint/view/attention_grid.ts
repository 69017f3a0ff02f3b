import { drawImage, element } from '../../shared/element';
import type { AttentionNews } from '../messages';
import { heatImage } from '../../shared/heat';
import { RovingFocus } from '../../shared/roving_focus';
import { Highlight } from './highlight';

interface MapView {
  readonly button: HTMLButtonElement;
  readonly canvas: HTMLCanvasElement;
  /** The colour that the vector stands for. */
  readonly swatch: HTMLElement;
  readonly share: HTMLElement;
}

/**
 * One thumbnail per context vector. The grid is one stop of the Tab key; inside it the arrows move. Pointing,
 * focusing or pressing lights up a vector's part of the painting, in rising order of insistence.
 */
export class AttentionGrid {
  readonly #grid = element('attention-grid', HTMLElement);
  readonly #stop = new RovingFocus(this.#grid);
  readonly #highlight = new Highlight();
  #views: MapView[] = [];
  #news: AttentionNews | undefined;
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
    this.#news = undefined;
    this.#pointed = this.#focused = this.#pressed = undefined;
    this.#grid.dataset['columns'] = String(Math.min(16, length));
    this.#grid.replaceChildren(...this.#views.map((view) => view.button));
    this.#stop.stopAt(0);
    this.#light();
  }

  show(news: AttentionNews): void {
    this.#news = news;
    const { size, maps, shares, peaks } = news;
    for (const [index, view] of this.#views.entries()) {
      drawImage(view.canvas, heatImage(mapOf(news, index), size));
      const share = percent(shares[index] ?? 0);
      view.share.textContent = share;
      view.share.dataset['value'] = String(shares[index] ?? 0);
      view.swatch.style.background = `rgb(${news.colours.subarray(index * 3, index * 3 + 3).join(' ')})`;
      view.button.setAttribute(
        'aria-label',
        `Vector ${index + 1}: ${share} of all attention, at most ${percent(peaks[index] ?? 0)} of one pixel’s`,
      );
    }
    if (maps.length > 0) this.#light();
  }

  #point(index: number | undefined): void {
    if (index === this.#pointed) return;
    this.#pointed = index;
    this.#light();
  }

  #focus(index: number | undefined): void {
    // A press of the mouse focuses too; only the keyboard's focus is a wish to see.
    this.#focused =
      index !== undefined && this.#views[index]?.button.matches(':focus-visible') ? index : undefined;
    this.#light();
  }

  #press(index: number | undefined): void {
    if (index === undefined) return;
    this.#pressed = this.#pressed === index ? undefined : index;
    for (const [other, view] of this.#views.entries())
      view.button.setAttribute('aria-pressed', String(other === this.#pressed));
    this.#light();
  }

  #light(): void {
    const index = this.#pointed ?? this.#focused ?? this.#pressed;
    if (index === undefined || !this.#news) {
      this.#highlight.hide();
      return;
    }
    const peak = percent(this.#news.peaks[index] ?? 0);
    this.#highlight.show(
      mapOf(this.#news, index),
      this.#news.size,
      `lit where vector ${index + 1} is looked at, up to ${peak}`,
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

function mapOf({ maps, size }: AttentionNews, index: number): Uint8Array {
  return maps.subarray(index * size * size, (index + 1) * size * size);
}

function percent(share: number): string {
  const value = share * 100;
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} %`;
}
