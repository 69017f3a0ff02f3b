import type uPlot from 'uplot';
import { themeColour } from '../../shared/theme';
import { ThemedPlot } from '../../shared/themed_plot';
import type { LessonNews } from './messages';

/** The loss over the steps of a lesson: as it is told, and smoothed, for it leaps with every batch. */
export class LossCurve {
  readonly #place: HTMLElement;
  #steps: number[] = [];
  #losses: number[] = [];
  #smooth: number[] = [];
  readonly #plot: ThemedPlot;

  constructor(place: HTMLElement) {
    this.#place = place;
    this.#plot = new ThemedPlot(place, this.#data(), (axis) => ({
      padding: [6, 8, 0, 0],
      series: [
        {},
        { stroke: themeColour('--line-strong'), width: 1, points: { show: false } },
        { stroke: themeColour('--accent'), width: 2, points: { show: false } },
      ],
      axes: [
        { ...axis, size: 24 },
        { ...axis, size: 44 },
      ],
    }));
  }

  clear(): void {
    this.#steps = [];
    this.#losses = [];
    this.#smooth = [];
    this.#plot.show(this.#data());
  }

  add({ step, loss }: LessonNews): void {
    const before = this.#smooth.at(-1) ?? loss;
    this.#steps.push(step);
    this.#losses.push(loss);
    this.#smooth.push(before + (loss - before) * 0.1);
    this.#place.setAttribute('aria-label', `Loss after step ${step}: ${loss.toPrecision(2)}`);
    this.#plot.show(this.#data());
  }

  #data(): uPlot.AlignedData {
    return [this.#steps, this.#losses, this.#smooth];
  }
}
