/** Wires the page: forms become commands to the generator's worker, and its news become what is seen. */
import { element } from '../shared/element';
import { Notice } from '../shared/notice';
import { setUpThemeButton } from '../shared/theme';
import { WorkerLink } from '../shared/typed_worker';
import { readLink } from './request_link';
import type { Command, News } from './messages';
import { FIRST_REQUEST, randomSeed, type PictureRequest } from './request';
import { Studio, type StudioViews } from './picture_controller';
import { TeachPanel } from './fine_tuning/fine_tuning_panel';
import { EditForm } from './view/edit_form';
import { Gallery } from './view/gallery';
import { MapChoice } from './view/map_choice';
import { ProgressView } from './view/progress_view';
import { PromptForm } from './view/prompt_form';
import { showRuntime } from './view/runtime_panel';
import { Stage } from './view/picture_view';
import { StepStrip } from './view/step_strip';
import { TakeHome } from './view/picture_export';
import { WordGrid } from './view/word_grid';

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
