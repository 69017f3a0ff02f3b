/** The table of one measurement, with a row per contender. All rows exist from the start. */
import { isOverhead } from '../../../bench/shapes.mjs';
import { memoryBeyondOutput, ratioTo } from '../figures';
import type { MeasuredContender, Measurement } from '../messages';
import type { PlannedContender, PlannedMeasurement } from '../plan';
import { bytes, duration, percent, shapeDetail, shapeTitle, taskTitles, threeDigits, times } from '../titles';
import { reasonElement } from './reason';

const noValue = '–';

interface Column {
  readonly title: string;
  readonly isShown?: (measurement: PlannedMeasurement) => boolean;
  /** The unrounded value; null if there is none. */
  readonly value: (contender: MeasuredContender, all: readonly MeasuredContender[]) => number | null;
  readonly text: (value: number) => string;
}

const countsWork = ({ shape }: PlannedMeasurement): boolean => !isOverhead(shape);

const allColumns: readonly Column[] = [
  { title: 'Time', value: ({ milliseconds }) => milliseconds, text: duration },
  { title: 'Ours is', value: ratioTo, text: (ratio) => `${times(ratio)} as fast` },
  {
    title: 'GFLOP/s',
    isShown: countsWork,
    value: ({ gflopsPerSecond }) => gflopsPerSecond,
    text: threeDigits,
  },
  {
    title: 'Of the ceiling',
    isShown: countsWork,
    value: ({ shareOfCeiling }) => shareOfCeiling,
    text: percent,
  },
  {
    // Includes what is computed a second time instead of stored.
    title: 'Counting all work',
    isShown: (measurement) => measurement.task === 'training' && countsWork(measurement),
    value: ({ shareOfCeiling, doneOverFlops }) =>
      shareOfCeiling === null || doneOverFlops === null ? null : shareOfCeiling * doneOverFlops,
    text: percent,
  },
  {
    title: 'Memory',
    isShown: ({ task }) => task === 'forward',
    value: memoryBeyondOutput,
    text: bytes,
  },
];

export class ResultsTable {
  readonly section = document.createElement('section');
  readonly #columns: readonly Column[];
  readonly #rows = new Map<string, HTMLTableRowElement>();
  #isShown = false;

  constructor(measurement: PlannedMeasurement, contenders: readonly PlannedContender[]) {
    this.#columns = allColumns.filter(({ isShown }) => isShown?.(measurement) ?? true);
    const { id, task, shape } = measurement;
    const heading = withText('h3', `${taskTitles[task]} · ${shapeTitle(shape)}`);
    heading.id = `${id}-title`;
    // The chart shows this name.
    const detail = withText('p', `${shape.name}: ${shapeDetail(shape)}`);
    detail.className = 'hint';
    const scroller = document.createElement('div');
    scroller.className = 'scroller';
    // Scrollable regions must be reachable by keyboard.
    scroller.tabIndex = 0;
    scroller.setAttribute('role', 'region');
    scroller.setAttribute('aria-labelledby', heading.id);
    scroller.append(this.#table(contenders, heading.id));
    this.section.id = id;
    this.section.className = 'measurement card';
    this.section.append(heading, detail, scroller);
    this.section.dataset['state'] = 'waiting';
  }

  show({ contenders, notMeasured }: Measurement): void {
    if (this.#isShown) return;
    this.#isShown = true;
    this.section.dataset['state'] = 'measured';
    for (const contender of contenders) this.#fill(contender, contenders);
    for (const { title, reason } of notMeasured) this.#showReason(title, reason);
  }

  end(): void {
    if (!this.#isShown) this.section.dataset['state'] = 'not-reached';
  }

  #table(contenders: readonly PlannedContender[], titleId: string): HTMLTableElement {
    const table = document.createElement('table');
    table.setAttribute('aria-labelledby', titleId);
    const head = table.createTHead().insertRow();
    for (const title of ['Contender', ...this.#columns.map((column) => column.title)]) {
      const cell = withText('th', title);
      cell.scope = 'col';
      head.append(cell);
    }
    const body = table.createTBody();
    for (const { choice, title } of contenders) {
      const row = body.insertRow();
      row.classList.toggle('ours', choice.isOurs);
      const name = withText('th', title);
      name.scope = 'row';
      row.append(name, ...this.#columns.map(() => withText('td', noValue)));
      this.#rows.set(title, row);
    }
    return table;
  }

  #fill(contender: MeasuredContender, all: readonly MeasuredContender[]): void {
    const row = this.#rows.get(contender.title);
    if (!row) return;
    for (const [index, { value, text }] of this.#columns.entries()) {
      const cell = row.cells[index + 1]!;
      const figure = value(contender, all);
      cell.textContent = figure === null ? noValue : text(figure);
      if (figure !== null) cell.dataset['value'] = String(figure);
    }
  }

  #showReason(title: string, reason: string): void {
    const row = this.#rows.get(title);
    if (!row) return;
    row.classList.add('not-measured');
    while (row.cells.length > 1) row.deleteCell(1);
    const cell = row.insertCell();
    cell.colSpan = this.#columns.length;
    cell.append(reasonElement(reason));
  }
}

function withText<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  text: string,
): HTMLElementTagNameMap[Tag] {
  const created = document.createElement(tag);
  created.textContent = text;
  return created;
}
