import type uPlot from 'uplot';
import { themeColour } from '../../shared/theme';
import { ThemedPlot } from '../../shared/themed_plot';
import type { FineTuningProgressEvent } from './messages';

/** The loss over the steps of a training: as measured, and smoothed because it varies from batch to batch. */
export class LossCurve {
  readonly #container: HTMLElement;
  #steps: number[] = [];
  #losses: number[] = [];
  #smooth: number[] = [];
  readonly #plot: ThemedPlot;

  constructor(container: HTMLElement) {
    this.#container = container;
    this.#plot = new ThemedPlot(container, this.#data(), (axis) => ({
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

  add({ step, loss }: FineTuningProgressEvent): void {
    const previous = this.#smooth.at(-1) ?? loss;
    this.#steps.push(step);
    this.#losses.push(loss);
    this.#smooth.push(previous + (loss - previous) * 0.1);
    this.#container.setAttribute('aria-label', `Loss after step ${step}: ${loss.toPrecision(2)}`);
    this.#plot.show(this.#data());
  }

  #data(): uPlot.AlignedData {
    return [this.#steps, this.#losses, this.#smooth];
  }
}
