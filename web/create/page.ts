/** Connects the forms and the views of the page with the generator's worker. */
import { element } from '../shared/element';
import { Notice } from '../shared/notice';
import { setUpThemeButton } from '../shared/theme';
import { TypedWorker } from '../shared/typed_worker';
import { FineTuningPanel } from './fine_tuning/fine_tuning_panel';
import type { GeneratorMessage, GeneratorEvent } from './messages';
import { PictureController, type PictureViews } from './picture_controller';
import { initialRequest, randomSeed, type PictureRequest } from './request';
import { parseRequest } from './request_link';
import { EditForm } from './view/edit_form';
import { Gallery } from './view/gallery';
import { MapChoice } from './view/map_choice';
import { PictureExport } from './view/picture_export';
import { PictureView } from './view/picture_view';
import { ProgressView } from './view/progress_view';
import { PromptForm } from './view/prompt_form';
import { showRuntime } from './view/runtime_panel';
import { StepStrip } from './view/step_strip';
import { WordGrid } from './view/word_grid';

// Started first, so that it loads WebAssembly and the weights while the page is set up.
const generator = new TypedWorker<GeneratorMessage, GeneratorEvent>(
  new Worker(new URL('./worker/generator.worker.ts', import.meta.url), { type: 'module', name: 'generator' }),
);
const notice = new Notice();
const post = (message: GeneratorMessage): void => generator.post(message);
const check = (prompt: string): void => post({ kind: 'check', prompt });
const generate = (request: PictureRequest): void => {
  notice.clear();
  pictures.generate(request);
};

const pictureView = new PictureView();
const views: PictureViews = {
  pictureView,
  strip: new StepStrip((step) => pictures.showStep(step)),
  words: new WordGrid(pictureView, (weights) => pictures.setWeights(weights)),
  progress: new ProgressView(),
  form: new PromptForm({
    generate: (request) => generate({ ...request, weights: pictures.weightsFor(request.prompt) }),
    check,
    cancel: () => pictures.cancel(),
    surprise: () => post({ kind: 'surprise', seed: randomSeed() }),
  }),
  edit: new EditForm({ check, generate }),
  gallery: new Gallery(generate),
  pictureExport: new PictureExport(() => pictureView.isSmooth),
};
const pictures = new PictureController(post, () => views);
const mapChoice = new MapChoice((choice) => post({ kind: 'chooseMaps', choice }));
const fineTuning = new FineTuningPanel({
  check,
  loadWords: (bytes) => post({ kind: 'loadWords', bytes }),
  removeWords: () => post({ kind: 'removeWords' }),
  draw: (prompt) => views.form.draw(prompt),
  showError: (message) => notice.show(message),
});

setUpThemeButton(element('theme', HTMLButtonElement));
generator.onEvent(show);
generate(parseRequest(location.hash) ?? initialRequest);
addEventListener('hashchange', () => {
  const request = parseRequest(location.hash);
  if (request) generate(request);
});

function show(event: GeneratorEvent): void {
  switch (event.kind) {
    case 'ready':
      showRuntime(event);
      mapChoice.offer(event.blocks, event.heads);
      break;
    case 'started':
      pictures.start(event.run, event.words);
      break;
    case 'frame':
      pictures.addFrame(event);
      break;
    case 'finished':
      pictures.finish(event);
      break;
    case 'stopped':
      pictures.stop(event.run);
      break;
    case 'maps':
      pictures.showMaps(event.run, event.maps);
      break;
    case 'checked':
      views.form.showCheck(event);
      views.edit.showCheck(event);
      fineTuning.showCheck(event);
      break;
    case 'scene':
      views.form.draw(event.prompt);
      break;
    case 'words':
      pictures.clearFinished();
      views.form.showWords(event);
      views.edit.check();
      fineTuning.showWords(event);
      break;
    case 'error':
      notice.show(event.message);
      break;
    case 'failed':
      views.progress.end('failed', 'Not running');
      views.form.setDrawing(false);
      notice.show(`The model could not start: ${event.message}`);
      break;
  }
}
