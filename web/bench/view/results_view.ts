/** All results: a table per measurement. Tables exist from the start, so that the layout does not shift. */
import { element } from '../../shared/element';
import type { BenchmarkJson, Choices } from '../messages';
import { measurementId, plannedContenders, plannedMeasurements } from '../plan';
import { Headline } from './headline';
import { ResultsChart } from './results_chart';
import { ResultsTable } from './results_table';

export class ResultsView {
  readonly #section = element('results', HTMLElement);
  readonly #container = element('measurements', HTMLElement);
  readonly #headline = new Headline();
  readonly chart = new ResultsChart();
  #tables = new Map<string, ResultsTable>();

  /** Creates empty tables and charts for a run. */
  prepare(choices: Choices): void {
    const contenders = plannedContenders(choices);
    const measurements = plannedMeasurements(choices);
    this.#tables = new Map(
      measurements.map((measurement) => [measurement.id, new ResultsTable(measurement, contenders)]),
    );
    this.#container.replaceChildren(...[...this.#tables.values()].map(({ section }) => section));
    this.#headline.clear();
    this.chart.prepare(measurements, contenders);
    this.#section.hidden = false;
  }

  show(json: BenchmarkJson): void {
    for (const measurement of json.measurements) {
      this.#tables.get(measurementId(measurement.task, measurement.shape.name))?.show(measurement);
    }
    this.#headline.show(json);
    this.chart.show(json);
  }

  /** Marks the tables of measurements that were not reached. */
  end(): void {
    for (const table of this.#tables.values()) table.end();
  }
}
