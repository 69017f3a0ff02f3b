/** All results: a table for each measurement, laid out before anything is measured, so that nothing moves later. */
import { element } from '../../shared/element';
import type { BenchmarkJson, Choices } from '../messages';
import { measurementId, plannedContenders, plannedMeasurements } from '../plan';
import { Headline } from './headline';
import { ResultsChart } from './results_chart';
import { ResultsTable } from './results_table';

export class ResultsView {
  readonly #section = element('results', HTMLElement);
  readonly #place = element('measurements', HTMLElement);
  readonly #headline = new Headline();
  readonly chart = new ResultsChart();
  #tables = new Map<string, ResultsTable>();

  /** Makes room for what is going to come. */
  prepare(choices: Choices): void {
    const contenders = plannedContenders(choices);
    const measurements = plannedMeasurements(choices);
    this.#tables = new Map(
      measurements.map((measurement) => [measurement.id, new ResultsTable(measurement, contenders)]),
    );
    this.#place.replaceChildren(...[...this.#tables.values()].map(({ section }) => section));
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

  /** What was not reached says so. */
  end(): void {
    for (const table of this.#tables.values()) table.end();
  }
}
