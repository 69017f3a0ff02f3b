/** Connects the controls and the views of the page with the painter's worker. */
import { download } from '../shared/download';
import { element } from '../shared/element';
import { onFileDrop } from '../shared/file_drop';
import { Notice } from '../shared/notice';
import { setUpThemeButton } from '../shared/theme';
import { TypedWorker } from '../shared/typed_worker';
import type { PainterMessage, PainterEvent } from './messages';
import { AttentionGrid } from './view/attention_grid';
import { Controls } from './view/controls';
import { LearningCurve } from './view/learning_curve';
import { PictureView } from './view/picture_view';
import { Readings } from './view/readings';
import { showRuntime } from './view/runtime_panel';

const painter = new TypedWorker<PainterMessage, PainterEvent>(
  new Worker(new URL('./worker/painter.worker.ts', import.meta.url), { type: 'module', name: 'painter' }),
);
const notice = new Notice();
const target = new PictureView('target');
const painting = new PictureView('painting');
const readings = new Readings();
const curve = new LearningCurve(element('curve', HTMLElement));
const attention = new AttentionGrid();
const controls = new Controls((message) => {
  notice.clear();
  painter.post(message);
});

setUpThemeButton(element('theme', HTMLButtonElement));
onFileDrop(document.body, ([file]) => controls.receiveFile(file!));
painter.onEvent(show);
painter.post({ kind: 'paintSample' });

function show(event: PainterEvent): void {
  switch (event.kind) {
    case 'runtime':
      showRuntime(event);
      controls.enable();
      break;
    case 'target':
      target.show(event.pixels, event.configuration.size);
      readings.showTarget(event.name);
      controls.showConfiguration(event.configuration);
      attention.showContextLength(event.configuration.contextLength);
      curve.clear();
      break;
    case 'progress':
      painting.show(event.pixels, event.size);
      readings.showProgress(event);
      curve.add(event);
      break;
    case 'attention':
      attention.show(event);
      break;
    case 'status':
      readings.showStatus(event.status);
      controls.showStatus(event.status);
      break;
    case 'saved':
      download(event.bytes, event.fileName);
      break;
    case 'error':
      notice.show(event.message);
      break;
    case 'failed':
      readings.showFailure();
      controls.disable();
      notice.show(`The painter could not start: ${event.message}`);
      break;
  }
}
