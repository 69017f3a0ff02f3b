/** Wires the page: controls become commands to the painter's worker, and its news become what is seen. */
import { setUpThemeButton } from '../shared/theme';
import { onFileDrop } from '../shared/file_drop';
import { download } from '../shared/download';
import { element } from '../shared/element';
import { WorkerLink } from '../shared/typed_worker';
import type { Command, News } from './messages';
import { AttentionGrid } from './view/attention_grid';
import { Controls } from './view/controls';
import { LearningCurve } from './view/learning_curve';
import { Notice } from '../shared/notice';
import { PictureView } from './view/picture_view';
import { Readings } from './view/readings';
import { showRuntime } from './view/runtime_panel';

const painter = new WorkerLink<Command, News>(
  new Worker(new URL('./worker/painter.worker.ts', import.meta.url), { type: 'module', name: 'painter' }),
);
const notice = new Notice();
const target = new PictureView('target');
const painting = new PictureView('painting');
const readings = new Readings();
const curve = new LearningCurve(element('curve', HTMLElement));
const attention = new AttentionGrid();
const controls = new Controls((command) => {
  notice.clear();
  painter.send(command);
});

setUpThemeButton(element('theme', HTMLButtonElement));
onFileDrop(document.body, ([file]) => controls.receiveFile(file!));
painter.onNews(show);
painter.send({ kind: 'paintSample' });

function show(news: News): void {
  switch (news.kind) {
    case 'runtime':
      showRuntime(news);
      controls.enable();
      break;
    case 'target':
      target.show(news.pixels, news.configuration.size);
      readings.showTarget(news.name);
      controls.showConfiguration(news.configuration);
      attention.showContextLength(news.configuration.contextLength);
      curve.clear();
      break;
    case 'progress':
      painting.show(news.pixels, news.size);
      readings.showProgress(news);
      curve.add(news);
      break;
    case 'attention':
      attention.show(news);
      break;
    case 'status':
      readings.showStatus(news.status);
      controls.showStatus(news.status);
      break;
    case 'saved':
      download(news.bytes, news.fileName);
      break;
    case 'error':
      notice.show(news.message);
      break;
    case 'failed':
      readings.showFailure();
      controls.disable();
      notice.show(`The painter could not start: ${news.message}`);
      break;
  }
}
