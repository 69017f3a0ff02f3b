/** Connects the form and the views of the page with the benchmark's worker. */
import { element } from '../shared/element';
import { setUpThemeButton } from '../shared/theme';
import { contenderChoices, downloadOfAll } from './contender_choices';
import { ceilingSpread } from './figures';
import { readMachine } from './machine';
import type { BenchmarkJson, Choices, BenchmarkEvent } from './messages';
import { plannedContenders, plannedMeasurements } from './plan';
import { bytes, percent, shapeTitle, taskTitles } from './titles';
import { ChoicesForm } from './view/choices_form';
import { ExportButtons } from './view/export_buttons';
import { showMachine } from './view/machine_panel';
import { ProgressView } from './view/progress_view';
import { ResultsView } from './view/results_view';

/** On an idle machine, the spread of the ceiling is a few percent. */
const maxCalmSpread = 0.1;

setUpThemeButton(element('theme', HTMLButtonElement));
const machine = await readMachine();
showMachine(machine);
const form = new ChoicesForm(machine);
const progress = new ProgressView();
const results = new ResultsView();
const exports = new ExportButtons(results.chart);
const start = element('start', HTMLButtonElement);
const stop = element('stop', HTMLButtonElement);
let worker: Worker | undefined;

form.onChange(showPlan);
form.onSubmit(() => run(form.choices()));
stop.addEventListener('click', () => end('stopped', 'Stopped'));
showPlan();
element('content', HTMLElement).hidden = false;

function run(choices: Choices): void {
  if (worker || missingChoice(choices) !== null) return;
  setRunning(true);
  exports.clear();
  results.prepare(choices);
  progress.start();
  worker = new Worker(new URL('./worker/benchmark.worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<BenchmarkEvent>) => receive(data, choices);
  worker.onerror = (event) => end('failed', event.message || 'The benchmark could not be loaded.');
  worker.postMessage(choices);
}

function receive(event: BenchmarkEvent, choices: Choices): void {
  switch (event.kind) {
    case 'progress':
      progress.showProgress(event, measurementTitle(event.measurement, choices));
      break;
    case 'measured':
      showResults(event.json);
      break;
    case 'finished':
      end('finished', 'Done', stabilityNote(event.json));
      break;
    case 'failed':
      end('failed', `Failed: ${event.message}`);
      break;
  }
}

function showResults(json: BenchmarkJson): void {
  results.show(json);
  exports.offer(json);
}

function end(status: 'finished' | 'stopped' | 'failed', text: string, note?: string): void {
  worker?.terminate();
  worker = undefined;
  results.end();
  progress.end(status, text, note);
  setRunning(false);
}

/** Returns a note if the spread of the ceilings shows that the machine was busy; else an empty text. */
function stabilityNote(json: BenchmarkJson): string {
  const spread = ceilingSpread(json);
  const wasBusy = spread !== null && spread > maxCalmSpread;
  return wasBusy ? `Busy machine: ceiling varied by ${percent(spread)}` : '';
}

function setRunning(isRunning: boolean): void {
  form.setDisabled(isRunning);
  // A button that is disabled while it has the focus loses it.
  const hadFocus = [start, stop].some((button) => button === document.activeElement);
  start.disabled = isRunning;
  stop.disabled = !isRunning;
  if (hadFocus) (isRunning ? stop : start).focus();
}

/** Shows what Start would do, or which choice is missing. */
function showPlan(): void {
  const choices = form.choices();
  const missing = missingChoice(choices);
  start.disabled = missing !== null;
  progress.showReady(missing ?? planText(choices));
}

function planText(choices: Choices): string {
  const measurements = plannedMeasurements(choices).length;
  const contenders = plannedContenders(choices).length;
  const chosen = contenderChoices.filter(({ id }) => choices.contenders.includes(id));
  return (
    `${countText(measurements, 'measurement')} of ${countText(contenders, 'contender')}, ` +
    `${bytes(downloadOfAll(chosen))} to download`
  );
}

function missingChoice({ contenders, shapes, tasks, threads }: Choices): string | null {
  if (shapes.length === 0) return 'Choose a layer.';
  if (contenders.length === 0) return 'Choose a contender.';
  if (tasks.length === 0) return 'Choose a task.';
  if (threads.length === 0) return 'Choose a number of threads.';
  const plan = plannedMeasurements({ contenders, shapes, tasks, threads, seconds: 1 });
  return plan.length === 0 ? 'None of the selected layers supports the selected tasks.' : null;
}

function measurementTitle(measurement: string | null, choices: Choices): string | null {
  if (measurement === null) return null;
  const plan = plannedMeasurements(choices);
  const index = plan.findIndex(({ id }) => id === measurement);
  const { task, shape } = plan[index]!;
  return `${index + 1} of ${plan.length}: ${taskTitles[task]}, ${shapeTitle(shape)}`;
}

function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
