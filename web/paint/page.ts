/** Wires the page: controls become commands to the painter's worker, and its news become what is seen. */
import { setUpThemeButton } from '../shared/theme.ts';
import { onFileDrop } from '../shared/file-drop.ts';
import { download } from '../shared/download.ts';
import { element } from '../shared/element.ts';
import { WorkerLink } from '../shared/worker-link.ts';
import type { Command, News } from './messages.ts';
import { AttentionGrid } from './view/attention-grid.ts';
import { Controls } from './view/controls.ts';
import { LearningCurve } from './view/learning-curve.ts';
import { Notice } from '../shared/notice.ts';
import { PictureView } from './view/picture-view.ts';
import { Readings } from './view/readings.ts';
import { showRuntime } from './view/runtime-panel.ts';

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
