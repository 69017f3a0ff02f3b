/** The results as bars, a chart for each task, in colours of the theme; as large from the start as in the end. */
import { element } from '../../shared/element';
import type { BenchmarkJson, Measurement } from '../messages';
import {
  DTYPE,
  measurementId,
  taskNames,
  type PlannedContender,
  type PlannedMeasurement,
  type TaskName,
} from '../plan';
import { TASK_TITLES } from '../titles';
import { standAlone, type Panel } from './svg_file';

type Draw = typeof import('../../../bench/chart.mjs').chart;

type PlannedJson = Omit<BenchmarkJson, 'measurements'> & { readonly measurements: readonly AnyMeasurement[] };
/** Of a planned one, contenders are known, but no figures. */
type AnyMeasurement = Pick<Measurement, 'shape' | 'task'>;

export class ResultsChart {
  readonly #place = element('chart', HTMLElement);
  #draw: Draw | undefined;
  /** Planned, with the figures of what has been measured. */
  #json: PlannedJson | undefined;
  #panels: Panel[] = [];
  #width = 0;

  constructor() {
    new ResizeObserver(() => {
      if (this.#place.clientWidth !== this.#width) this.#redrawAnew();
    }).observe(this.#place);
  }

  /** Makes room: all planned bars, without a length yet. */
  async prepare(
    measurements: readonly PlannedMeasurement[],
    contenders: readonly PlannedContender[],
  ): Promise<void> {
    this.#json = emptyResults(measurements, contenders);
    // A library that only those need who start a run.
    this.#draw ??= (await import('../../../bench/chart.mjs')).chart;
    this.#redrawAnew();
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
    // With the next frame: the tables had this task for themselves.
    requestAnimationFrame(() => this.#redraw());
  }

  /** A picture by itself: with the colours that it has here. */
  svgText(): string {
    return standAlone(this.#panels, this.#place);
  }

  /** With as much room as it takes. */
  #redrawAnew(): void {
    this.#place.style.minHeight = '';
    this.#redraw();
    // Contenders that turn out not to offer a task leave their chart; what is below stays where it is.
    this.#place.style.minHeight = `${this.#place.offsetHeight}px`;
  }

  #redraw(): void {
    this.#width = this.#place.clientWidth;
    if (!this.#draw || !this.#json || this.#width === 0) return;
    this.#panels = [];
    for (const task of taskNames) {
      const svg = this.#draw(this.#json, { document, width: this.#width, task });
      if (!svg) continue;
      // What surrounds it speaks for it; its parts say nothing that the tables do not say better.
      svg.setAttribute('aria-hidden', 'true');
      this.#panels.push({ title: titleOf(task), svg });
    }
    this.#place.replaceChildren(...this.#panels.flatMap(({ title, svg }) => [headingOf(title), svg]));
  }
}

const titleOf = (task: TaskName): string => `${TASK_TITLES[task]}, GFLOP/s`;

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
      dtype: DTYPE,
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
