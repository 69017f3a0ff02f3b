// Page object of the benchmark.
import { openSiteAt, Visit } from '../../../support/browser/visit.mjs';

/** See openSiteAt. */
export const openBenchmark = (options) => openSiteAt('/bench.html', BenchmarkPage, options);

export class BenchmarkPage extends Visit {
  /** Selects only these values of a choice: 'shape', 'contender', 'task' or 'threads'. */
  async choose(name, values) {
    const boxes = this.page.locator(`input[name="${name}"]`);
    for (const box of await boxes.all()) {
      if (await box.isEnabled()) await box.setChecked(values.includes(await box.inputValue()));
    }
  }

  /**
   * Makes the choices { shape, contender, task, threads }, each a list, with half a second for each
   * contender.
   */
  async chooseAll(choices) {
    for (const [name, values] of Object.entries(choices)) await this.choose(name, values);
    await this.page.getByLabel('Seconds for each').selectOption('0.5');
  }

  /** Waits for a status: 'ready', 'running', 'finished', 'stopped' or 'failed'. */
  async waitForStatus(status) {
    await this.page.locator(`#status[data-status="${status}"]`).waitFor();
  }

  async run(choices) {
    await this.chooseAll(choices);
    await this.button('Start').click();
    await this.waitForStatus('finished');
  }

  /**
   * Returns the rows of a measurement by contender: { [column]: unrounded number or null }, or the reason as
   * text.
   */
  rows(task, shape) {
    return this.page.locator(`#${task}-${shape} table`).evaluate((table) => {
      const [, ...columns] = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
      const figures = (row) =>
        Object.fromEntries(
          columns.map((column, index) => {
            const { value } = row.cells[index + 1].dataset;
            return [column, value === undefined ? null : Number(value)];
          }),
        );
      return Object.fromEntries(
        Array.from(table.tBodies[0].rows, (row) => [
          row.cells[0].textContent,
          row.classList.contains('not-measured') ? row.cells[1].textContent : figures(row),
        ]),
      );
    });
  }

  /** Clicks a button and returns the downloaded file: its name and its text. */
  async download(button) {
    const [download] = await Promise.all([
      this.page.waitForEvent('download'),
      this.page.getByRole('button', { name: button }).click(),
    ]);
    const chunks = await (await download.createReadStream()).toArray();
    return { name: download.suggestedFilename(), text: Buffer.concat(chunks).toString() };
  }
}
