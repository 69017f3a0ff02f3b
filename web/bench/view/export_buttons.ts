/** The buttons that export the figures as JSON and the charts as SVG. */
import { download } from '../../shared/download';
import { element } from '../../shared/element';
import type { BenchmarkJson } from '../messages';
import type { ResultsChart } from './results_chart';

const copyLabel = 'Copy JSON';
const copiedLabelMilliseconds = 1500;

export class ExportButtons {
  readonly #copy = element('copy-json', HTMLButtonElement);
  readonly #downloadJson = element('download-json', HTMLButtonElement);
  readonly #downloadSvg = element('download-svg', HTMLButtonElement);
  #json: BenchmarkJson | undefined;

  constructor(chart: ResultsChart) {
    this.#copy.addEventListener('click', () => void this.#copyJson());
    this.#downloadJson.addEventListener('click', () =>
      download(this.#text(), 'benchmark.json', 'application/json'),
    );
    this.#downloadSvg.addEventListener('click', () =>
      download(chart.svgText(), 'benchmark.svg', 'image/svg+xml'),
    );
  }

  clear(): void {
    this.#json = undefined;
    this.#setDisabled(true);
  }

  offer(json: BenchmarkJson): void {
    this.#json = json;
    this.#setDisabled(false);
  }

  #text(): string {
    return `${JSON.stringify(this.#json, null, 2)}\n`;
  }

  async #copyJson(): Promise<void> {
    // The browser may not allow access to the clipboard, as without HTTPS.
    const label = await navigator.clipboard.writeText(this.#text()).then(
      () => 'Copied',
      () => 'Not allowed',
    );
    this.#copy.textContent = label;
    setTimeout(() => (this.#copy.textContent = copyLabel), copiedLabelMilliseconds);
  }

  #setDisabled(disabled: boolean): void {
    for (const button of [this.#copy, this.#downloadJson, this.#downloadSvg]) button.disabled = disabled;
  }
}
