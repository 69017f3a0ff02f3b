import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { onThemeChange, themeColour } from '../../shared/theme.ts';
import type { LessonNews } from './messages.ts';

/** The loss over the steps of a lesson: as it is told, and smoothed, for it leaps with every batch. */
export class LossCurve {
  readonly #place: HTMLElement;
  #steps: number[] = [];
  #losses: number[] = [];
  #smooth: number[] = [];
  #plot: uPlot | undefined;

  constructor(place: HTMLElement) {
    this.#place = place;
    new ResizeObserver(() => this.#plot?.setSize(this.#room())).observe(place);
    onThemeChange(() => this.#build());
    this.#build();
  }

  clear(): void {
    this.#steps = [];
    this.#losses = [];
    this.#smooth = [];
    this.#plot?.setData(this.#data());
  }

  add({ step, loss }: LessonNews): void {
    const before = this.#smooth.at(-1) ?? loss;
    this.#steps.push(step);
    this.#losses.push(loss);
    this.#smooth.push(before + (loss - before) * 0.1);
    this.#place.setAttribute('aria-label', `Loss after step ${step}: ${loss.toPrecision(2)}`);
    this.#plot?.setData(this.#data());
  }

  #data(): uPlot.AlignedData {
    return [this.#steps, this.#losses, this.#smooth];
  }

  #room(): { width: number; height: number } {
    return { width: this.#place.clientWidth, height: this.#place.clientHeight };
  }

  /** uPlot draws with fixed colours, so a change of theme takes a new plot. */
  #build(): void {
    this.#plot?.destroy();
    const axis: uPlot.Axis = {
      stroke: themeColour('--muted'),
      grid: { stroke: themeColour('--line'), width: 1 },
      ticks: { show: false },
      font: `11px ${getComputedStyle(this.#place).fontFamily}`,
      gap: 4,
    };
    const options: uPlot.Options = {
      ...this.#room(),
      padding: [6, 8, 0, 0],
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false } },
      series: [
        {},
        { stroke: themeColour('--line-strong'), width: 1, points: { show: false } },
        { stroke: themeColour('--accent'), width: 2, points: { show: false } },
      ],
      axes: [
        { ...axis, size: 24 },
        { ...axis, size: 44 },
      ],
    };
    this.#plot = new uPlot(options, this.#data(), this.#place);
  }
}
