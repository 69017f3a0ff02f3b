/** The results as bar charts, one per task. They have their final size from the start. */
import { element } from '../../shared/element';
import type { BenchmarkJson, Measurement } from '../messages';
import {
  measuredDtype,
  measurementId,
  taskNames,
  type PlannedContender,
  type PlannedMeasurement,
  type TaskName,
} from '../plan';
import { taskTitles } from '../titles';
import { standaloneSvg, type Panel } from './svg_file';

type Draw = typeof import('../../../bench/chart.mjs').chart;

type PlannedJson = Omit<BenchmarkJson, 'measurements'> & { readonly measurements: readonly AnyMeasurement[] };
/** A planned measurement has contenders but no figures. */
type AnyMeasurement = Pick<Measurement, 'shape' | 'task'>;

export class ResultsChart {
  readonly #container = element('chart', HTMLElement);
  #draw: Draw | undefined;
  /** The plan, with the figures of what was measured. */
  #json: PlannedJson | undefined;
  #panels: Panel[] = [];
  #width = 0;

  constructor() {
    new ResizeObserver(() => {
      if (this.#container.clientWidth !== this.#width) this.#redrawAndResize();
    }).observe(this.#container);
  }

  /** Draws all planned bars with length 0, which reserves their space. */
  async prepare(
    measurements: readonly PlannedMeasurement[],
    contenders: readonly PlannedContender[],
  ): Promise<void> {
    this.#json = emptyResults(measurements, contenders);
    // Loads the charting library only when a run starts.
    this.#draw ??= (await import('../../../bench/chart.mjs')).chart;
    this.#redrawAndResize();
  }

  show({ measurements, ...rest }: BenchmarkJson): void {
    const measured = new Map(
      measurements.map((measurement) => [
        measurementId(measurement.task, measurement.shape.name),
        measurement,
      ]),
    );
    const planned = this.#json?.measurements ?? [];
    this.#json = {
      ...rest,
      measurements: planned.map((one) => measured.get(measurementId(one.task, one.shape.name)) ?? one),
    };
    // In the next frame, because updating the tables fills this task.
    requestAnimationFrame(() => this.#redraw());
  }

  /** Returns the charts as an SVG file with the colours of the current theme. */
  svgText(): string {
    return standaloneSvg(this.#panels, this.#container);
  }

  /** Redraws and adapts the reserved height. */
  #redrawAndResize(): void {
    this.#container.style.minHeight = '';
    this.#redraw();
    // A contender without a task disappears from its chart; the reserved height keeps the rest in position.
    this.#container.style.minHeight = `${this.#container.offsetHeight}px`;
  }

  #redraw(): void {
    this.#width = this.#container.clientWidth;
    if (!this.#draw || !this.#json || this.#width === 0) return;
    this.#panels = [];
    for (const task of taskNames) {
      const svg = this.#draw(this.#json, { document, width: this.#width, task });
      if (!svg) continue;
      // The container has a label, and the tables have all figures.
      svg.setAttribute('aria-hidden', 'true');
      this.#panels.push({ title: titleOf(task), svg });
    }
    this.#container.replaceChildren(...this.#panels.flatMap(({ title, svg }) => [headingOf(title), svg]));
  }
}

const titleOf = (task: TaskName): string => `${taskTitles[task]}, GFLOP/s`;

function headingOf(title: string): HTMLElement {
  const heading = document.createElement('p');
  heading.className = 'chart-title';
  heading.textContent = title;
  return heading;
}

function emptyResults(
  measurements: readonly PlannedMeasurement[],
  contenders: readonly PlannedContender[],
): PlannedJson {
  return {
    date: '',
    machine: {},
    measurements: measurements.map(({ shape, task }) => ({
      shape,
      task,
      dtype: measuredDtype,
      flops: 0,
      notMeasured: [],
      contenders: contenders.map(({ choice: { label, name, options }, threads, title }) => ({
        title,
        label,
        name,
        ...options,
        threads,
        milliseconds: null,
        gflopsPerSecond: null,
      })),
    })),
  };
}
