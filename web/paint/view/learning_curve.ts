import type uPlot from 'uplot';
import { themeColour } from '../../shared/theme';
import { ThemedPlot } from '../../shared/themed_plot';
import type { TrainingProgressEvent } from '../messages';

/** About one point per pixel. Beyond this, every second point is removed. */
const maxPoints = 600;
/** Redrawing less often leaves the main thread free for scrolling. */
const redrawIntervalMilliseconds = 250;

/** Loss (on a logarithmic scale, left) and PSNR (right) over the steps. */
export class LearningCurve {
  readonly #container: HTMLElement;
  #steps: number[] = [];
  #losses: (number | null)[] = [];
  #psnrs: number[] = [];
  readonly #plot: ThemedPlot;
  #isRedrawDue = false;

  constructor(container: HTMLElement) {
    this.#container = container;
    this.#plot = new ThemedPlot(container, this.#data(), (axis) => ({
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

  add({ step, loss, psnr, plannedSteps }: TrainingProgressEvent): void {
    if (this.#steps.at(-1) === step) return;
    this.#steps.push(step);
    this.#losses.push(loss > 0 ? loss : null);
    this.#psnrs.push(psnr);
    if (this.#steps.length > maxPoints) this.#removeEverySecond();
    this.#container.setAttribute(
      'aria-label',
      `After step ${step} of ${plannedSteps}: similarity ${psnr.toFixed(1)} dB`,
    );
    this.#schedule();
  }

  #removeEverySecond(): void {
    const isKept = (_: unknown, index: number, all: unknown[]): boolean =>
      index % 2 === 0 || index === all.length - 1;
    this.#steps = this.#steps.filter(isKept);
    this.#losses = this.#losses.filter(isKept);
    this.#psnrs = this.#psnrs.filter(isKept);
  }

  #schedule(): void {
    if (this.#isRedrawDue) return;
    this.#isRedrawDue = true;
    setTimeout(() => {
      this.#isRedrawDue = false;
      this.#plot.show(this.#data());
    }, redrawIntervalMilliseconds);
  }

  #data(): uPlot.AlignedData {
    return [this.#steps, this.#losses, this.#psnrs];
  }
}

/** Selects the marks of the logarithmic axis that get a line and a label. */
function powersOfTen(_: uPlot, marks: number[]): (number | null)[] {
  return marks.map((mark) =>
    Math.abs(Math.log10(mark) - Math.round(Math.log10(mark))) < 1e-6 ? mark : null,
  );
}
