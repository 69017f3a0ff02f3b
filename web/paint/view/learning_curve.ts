import type uPlot from 'uplot';
import { themeColour } from '../../shared/theme';
import { ThemedPlot } from '../../shared/themed_plot';
import type { ProgressNews } from '../messages';

/** More points than pixels tell nothing; beyond this every other one goes. */
const MOST_POINTS = 600;
/** Redrawing is cheap, but not free: the page is there to scroll, too. */
const REDRAW_EVERY_MILLISECONDS = 250;

/** Loss (on a logarithmic scale, left) and PSNR (right) over the steps. */
export class LearningCurve {
  readonly #place: HTMLElement;
  #steps: number[] = [];
  #losses: (number | null)[] = [];
  #psnrs: number[] = [];
  readonly #plot: ThemedPlot;
  #isRedrawDue = false;

  constructor(place: HTMLElement) {
    this.#place = place;
    this.#plot = new ThemedPlot(place, this.#data(), (axis) => ({
      padding: [6, 0, 0, 0],
      scales: { loss: { distr: 3 }, psnr: {} },
      series: [
        {},
        {
          scale: 'loss',
          stroke: themeColour('--second'),
          width: 1.5,
          points: { show: false },
          spanGaps: true,
        },
        { scale: 'psnr', stroke: themeColour('--accent'), width: 2, points: { show: false } },
      ],
      axes: [
        { ...axis, size: 24 },
        {
          ...axis,
          scale: 'loss',
          size: 44,
          filter: powersOfTen,
          grid: { ...axis.grid, filter: powersOfTen },
        },
        { ...axis, scale: 'psnr', side: 1, size: 30, grid: { show: false } },
      ],
    }));
  }

  clear(): void {
    this.#steps = [];
    this.#losses = [];
    this.#psnrs = [];
    this.#schedule();
  }

  add({ step, loss, psnr, plannedSteps }: ProgressNews): void {
    if (this.#steps.at(-1) === step) return;
    this.#steps.push(step);
    this.#losses.push(loss > 0 ? loss : null);
    this.#psnrs.push(psnr);
    if (this.#steps.length > MOST_POINTS) this.#thin();
    this.#place.setAttribute(
      'aria-label',
      `After step ${step} of ${plannedSteps}: likeness ${psnr.toFixed(1)} dB`,
    );
    this.#schedule();
  }

  #thin(): void {
    const keep = (_: unknown, index: number, all: unknown[]): boolean =>
      index % 2 === 0 || index === all.length - 1;
    this.#steps = this.#steps.filter(keep);
    this.#losses = this.#losses.filter(keep);
    this.#psnrs = this.#psnrs.filter(keep);
  }

  #schedule(): void {
    if (this.#isRedrawDue) return;
    this.#isRedrawDue = true;
    setTimeout(() => {
      this.#isRedrawDue = false;
      this.#plot.show(this.#data());
    }, REDRAW_EVERY_MILLISECONDS);
  }

  #data(): uPlot.AlignedData {
    return [this.#steps, this.#losses, this.#psnrs];
  }
}

/** Of the marks on the logarithmic axis, those that are worth a line and a label. */
function powersOfTen(_: uPlot, marks: number[]): (number | null)[] {
  return marks.map((mark) =>
    Math.abs(Math.log10(mark) - Math.round(Math.log10(mark))) < 1e-6 ? mark : null,
  );
}
