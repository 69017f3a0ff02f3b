/** Wires the page: forms become commands to the generator's worker, and its news become what is seen. */
import { element } from '../shared/element.ts';
import { Notice } from '../shared/notice.ts';
import { setUpThemeButton } from '../shared/theme.ts';
import { WorkerLink } from '../shared/worker-link.ts';
import { readLink } from './link.ts';
import type { Command, News } from './messages.ts';
import { FIRST_REQUEST, randomSeed, type PictureRequest } from './request.ts';
import { Studio, type StudioViews } from './studio.ts';
import { TeachPanel } from './teach/teach-panel.ts';
import { EditForm } from './view/edit-form.ts';
import { Gallery } from './view/gallery.ts';
import { MapChoice } from './view/map-choice.ts';
import { ProgressView } from './view/progress-view.ts';
import { PromptForm } from './view/prompt-form.ts';
import { showRuntime } from './view/runtime-panel.ts';
import { Stage } from './view/stage.ts';
import { StepStrip } from './view/step-strip.ts';
import { TakeHome } from './view/take-home.ts';
import { WordGrid } from './view/word-grid.ts';

// First of all: while it loads WebAssembly and weights, the page gets ready.
const generator = new WorkerLink<Command, News>(
  new Worker(new URL('./worker/generator.worker.ts', import.meta.url), { type: 'module', name: 'generator' }),
);
const notice = new Notice();
const send = (command: Command): void => generator.send(command);
const check = (prompt: string): void => send({ kind: 'check', prompt });
const generate = (request: PictureRequest): void => {
  notice.clear();
  studio.generate(request);
};

const stage = new Stage();
const views: StudioViews = {
  stage,
  strip: new StepStrip((step) => studio.look(step)),
  words: new WordGrid(stage, (weights) => studio.weigh(weights)),
  progress: new ProgressView(),
  form: new PromptForm({
    generate: (request) => generate({ ...request, weights: studio.weightsFor(request.prompt) }),
    check,
    cancel: () => studio.cancel(),
    surprise: () => send({ kind: 'surprise', seed: randomSeed() }),
  }),
  edit: new EditForm({ check, generate }),
  gallery: new Gallery(generate),
  takeHome: new TakeHome(() => stage.isSmooth),
};
const studio = new Studio(send, () => views);
const mapChoice = new MapChoice((choice) => send({ kind: 'chooseMaps', choice }));
const teach = new TeachPanel({
  check,
  learn: (bytes) => send({ kind: 'learn', bytes }),
  forget: () => send({ kind: 'forget' }),
  draw: (prompt) => views.form.try(prompt),
  complain: (message) => notice.show(message),
});

setUpThemeButton(element('theme', HTMLButtonElement));
generator.onNews(show);
generate(readLink(location.hash) ?? FIRST_REQUEST);
addEventListener('hashchange', () => {
  const request = readLink(location.hash);
  if (request) generate(request);
});

function show(news: News): void {
  switch (news.kind) {
    case 'ready':
      showRuntime(news);
      mapChoice.offer(news.blocks, news.heads);
      break;
    case 'started':
      studio.started(news.run, news.words);
      break;
    case 'frame':
      studio.add(news);
      break;
    case 'finished':
      studio.finish(news);
      break;
    case 'stopped':
      studio.stop(news.run);
      break;
    case 'maps':
      studio.showMaps(news.run, news.maps);
      break;
    case 'checked':
      views.form.showCheck(news);
      views.edit.showCheck(news);
      teach.showCheck(news);
      break;
    case 'scene':
      views.form.try(news.prompt);
      break;
    case 'words':
      studio.forgetPictures();
      views.form.showWords(news);
      views.edit.ask();
      teach.showWords(news);
      break;
    case 'error':
      notice.show(news.message);
      break;
    case 'failed':
      views.progress.end('failed', 'Not running');
      views.form.setDrawing(false);
      notice.show(`The model could not start: ${news.message}`);
      break;
  }
}
