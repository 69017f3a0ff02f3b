import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { onThemeChange, themeColour } from './theme';

/** What differs from plot to plot; the axis is the site's, to be spread into each of the axes. */
export type PlotDesign = (axis: uPlot.Axis) => Pick<uPlot.Options, 'padding' | 'series' | 'axes' | 'scales'>;

/** A plot that fills its place, follows the size of it and the theme. */
export class ThemedPlot {
  readonly #place: HTMLElement;
  readonly #design: PlotDesign;
  #data: uPlot.AlignedData;
  #plot: uPlot | undefined;

  constructor(place: HTMLElement, data: uPlot.AlignedData, design: PlotDesign) {
    this.#place = place;
    this.#data = data;
    this.#design = design;
    new ResizeObserver(() => this.#plot?.setSize(this.#room())).observe(place);
    onThemeChange(() => this.#build());
    this.#build();
  }

  show(data: uPlot.AlignedData): void {
    this.#data = data;
    this.#plot?.setData(data);
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
    const design = this.#design(axis);
    const options: uPlot.Options = {
      ...this.#room(),
      ...design,
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false }, ...design.scales },
    };
    this.#plot = new uPlot(options, this.#data, this.#place);
  }
}
