import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { onThemeChange, themeColour } from './theme';

/** Options of one plot. `axis` has the style of the site; spread it into each axis. */
export type PlotDesign = (axis: uPlot.Axis) => Pick<uPlot.Options, 'padding' | 'series' | 'axes' | 'scales'>;

/** A plot that fills its container and follows its size and the theme. */
export class ThemedPlot {
  readonly #container: HTMLElement;
  readonly #design: PlotDesign;
  #data: uPlot.AlignedData;
  #plot: uPlot | undefined;

  constructor(container: HTMLElement, data: uPlot.AlignedData, design: PlotDesign) {
    this.#container = container;
    this.#data = data;
    this.#design = design;
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(container);
    onThemeChange(() => this.#build());
    this.#build();
  }

  show(data: uPlot.AlignedData): void {
    this.#data = data;
    this.#plot?.setData(data);
  }

  #size(): { width: number; height: number } {
    return { width: this.#container.clientWidth, height: this.#container.clientHeight };
  }

  /** uPlot draws with fixed colours, so that a change of theme needs a new plot. */
  #build(): void {
    this.#plot?.destroy();
    const axis: uPlot.Axis = {
      stroke: themeColour('--muted'),
      grid: { stroke: themeColour('--line'), width: 1 },
      ticks: { show: false },
      font: `11px ${getComputedStyle(this.#container).fontFamily}`,
      gap: 4,
    };
    const design = this.#design(axis);
    const options: uPlot.Options = {
      ...this.#size(),
      ...design,
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false }, ...design.scales },
    };
    this.#plot = new uPlot(options, this.#data, this.#container);
  }
}
