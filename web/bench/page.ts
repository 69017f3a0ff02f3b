/** Wires the page: the form becomes a run in a worker, and the worker's news become what is seen. */
import { setUpThemeButton } from '../shared/theme';
import { element } from '../shared/element';
import { contenderChoices, downloadOfAll } from './contender_choices';
import { unrest } from './figures';
import { machineOf } from './machine';
import type { BenchmarkJson, Choices, News } from './messages';
import { plannedContenders, plannedMeasurements } from './plan';
import { bytes, percent, shapeTitle, TASK_TITLES } from './titles';
import { ChoicesForm } from './view/choices_form';
import { ExportButtons } from './view/export_buttons';
import { showMachine } from './view/machine_panel';
import { ProgressView } from './view/progress_view';
import { ResultsView } from './view/results_view';

/** On a machine at rest the ceiling swings by a few hundredths. */
const CALM = 0.1;

setUpThemeButton(element('theme', HTMLButtonElement));
const machine = await machineOf();
showMachine(machine);
const form = new ChoicesForm(machine);
const progress = new ProgressView();
const results = new ResultsView();
const exports = new ExportButtons(results.chart);
const start = element('start', HTMLButtonElement);
const stop = element('stop', HTMLButtonElement);
let worker: Worker | undefined;

form.onChange(invite);
form.onSubmit(() => run(form.choices()));
stop.addEventListener('click', () => end('stopped', 'Stopped'));
invite();
element('content', HTMLElement).hidden = false;

function run(choices: Choices): void {
  if (worker || missing(choices) !== null) return;
  setRunning(true);
  exports.clear();
  results.prepare(choices);
  progress.start();
  worker = new Worker(new URL('./worker/benchmark.worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<News>) => receive(data, choices);
  worker.onerror = (event) => end('failed', event.message || 'The benchmark could not be loaded.');
  worker.postMessage(choices);
}

function receive(news: News, choices: Choices): void {
  switch (news.kind) {
    case 'progress':
      progress.showProgress(news, whereOf(news.measurement, choices));
      break;
    case 'measured':
      showResults(news.json);
      break;
    case 'finished':
      end('finished', 'Done', weatherOf(news.json));
      break;
    case 'failed':
      end('failed', `Failed: ${news.message}`);
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

/** What the ceilings tell of the machine: where it was not at rest, so that figures are to be taken with care. */
function weatherOf(json: BenchmarkJson): string {
  const swing = unrest(json);
  return swing !== null && swing > CALM ? `Busy machine: the ceiling swung by ${percent(swing)}` : '';
}

function setRunning(isRunning: boolean): void {
  form.setDisabled(isRunning);
  // The focus must not get lost with a button that is disabled under it.
  const hadFocus = [start, stop].some((button) => button === document.activeElement);
  start.disabled = isRunning;
  stop.disabled = !isRunning;
  if (hadFocus) (isRunning ? stop : start).focus();
}

/** Says what Start would do, or what is still missing for it. */
function invite(): void {
  const choices = form.choices();
  const obstacle = missing(choices);
  start.disabled = obstacle !== null;
  progress.invite(obstacle ?? invitation(choices));
}

function invitation(choices: Choices): string {
  const measurements = plannedMeasurements(choices).length;
  const contenders = plannedContenders(choices).length;
  const chosen = contenderChoices.filter(({ id }) => choices.contenders.includes(id));
  return (
    `${counted(measurements, 'measurement')} of ${counted(contenders, 'contender')}, ` +
    `${bytes(downloadOfAll(chosen))} to download`
  );
}

function missing({ contenders, shapes, tasks, threads }: Choices): string | null {
  if (shapes.length === 0) return 'Choose a layer.';
  if (contenders.length === 0) return 'Choose a contender.';
  if (tasks.length === 0) return 'Choose a task.';
  if (threads.length === 0) return 'Choose a number of threads.';
  const plan = plannedMeasurements({ contenders, shapes, tasks, threads, seconds: 1 });
  return plan.length === 0 ? 'These layers have none of these tasks.' : null;
}

function whereOf(measurement: string | null, choices: Choices): string | null {
  if (measurement === null) return null;
  const plan = plannedMeasurements(choices);
  const index = plan.findIndex(({ id }) => id === measurement);
  const { task, shape } = plan[index]!;
  return `${index + 1} of ${plan.length}: ${TASK_TITLES[task]}, ${shapeTitle(shape)}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
