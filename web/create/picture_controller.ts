import type { FinishedEvent, FrameEvent, WordMaps, GeneratorMessage } from './messages';
import type { Pixels } from './pixels';
import { baseRequestOf, keyOf, type PictureRequest } from './request';
import { requestFragment } from './request_link';
import type { EditForm } from './view/edit_form';
import type { Gallery } from './view/gallery';
import type { PictureExport } from './view/picture_export';
import type { PictureView } from './view/picture_view';
import type { ProgressView } from './view/progress_view';
import type { PromptForm } from './view/prompt_form';
import { showPace } from './view/runtime_panel';
import type { StepStrip } from './view/step_strip';
import type { WordGrid } from './view/word_grid';

export interface PictureViews {
  readonly pictureView: PictureView;
  readonly strip: StepStrip;
  readonly words: WordGrid;
  readonly progress: ProgressView;
  readonly form: PromptForm;
  readonly edit: EditForm;
  readonly gallery: Gallery;
  readonly pictureExport: PictureExport;
}

interface Frame {
  readonly pixels: Pixels;
  maps: WordMaps;
}

/** A picture that is being drawn or is finished. */
interface Run {
  readonly id: number;
  readonly request: PictureRequest;
  readonly frames: Frame[];
}

/** Draws one picture at a time: posts its request to the generator and passes its events to the views. */
export class PictureController {
  readonly #post: (message: GeneratorMessage) => void;
  readonly #views: () => PictureViews;
  #run: Run = { id: 0, request: { prompt: '', seed: 0, steps: 0, guidance: 0, weights: [] }, frames: [] };
  /** An edit that waits until the picture that it starts from is drawn. */
  #next: PictureRequest | undefined;
  /** Finished pictures by the keys of their requests. */
  readonly #finished = new Map<string, Pixels>();

  constructor(post: (message: GeneratorMessage) => void, views: () => PictureViews) {
    this.#post = post;
    this.#views = views;
  }

  generate(request: PictureRequest): void {
    const base = baseRequestOf(request);
    const isBaseMissing = base !== undefined && !this.#finished.has(keyOf(base));
    this.#next = isBaseMissing ? request : undefined;
    this.#request(isBaseMissing ? base : request);
  }

  /** Returns the weights of the current picture if it has this prompt; else none. */
  weightsFor(prompt: string): readonly number[] {
    const { request } = this.#run;
    const base = baseRequestOf(request) ?? request;
    return base.prompt === prompt ? base.weights : [];
  }

  /** Draws the current picture again with other weights of its words. */
  setWeights(weights: readonly number[]): void {
    this.generate({ ...this.#run.request, weights });
  }

  cancel(): void {
    this.#next = undefined;
    this.#post({ kind: 'cancel' });
  }

  /** Must be called when the learned words changed: the same request then gives another picture. */
  clearFinished(): void {
    this.#finished.clear();
  }

  /** Shows the picture after a step, from 1. */
  showStep(step: number): void {
    const frame = this.#run.frames[step - 1];
    if (!frame) return;
    const { pictureView, words, pictureExport } = this.#views();
    pictureView.show(frame.pixels, step, this.#run.request.steps);
    words.show(frame.maps);
    pictureExport.offer(this.#run.request, frame.pixels);
  }

  start(id: number, words: readonly string[]): void {
    if (id !== this.#run.id) return;
    const { request } = this.#run;
    const base = baseRequestOf(request);
    const before = base && this.#finished.get(keyOf(base));
    const views = this.#views();
    views.pictureView.prepare(request.prompt, before && { prompt: base.prompt, pixels: before });
    views.words.showWords(words, request.weights);
    views.strip.clear();
    history.replaceState(null, '', requestFragment(this.#next ?? request));
  }

  addFrame(event: FrameEvent): void {
    if (event.run !== this.#run.id) return;
    const { pixels, maps, step } = event;
    this.#run.frames.push({ pixels, maps });
    const { strip, progress } = this.#views();
    progress.showFrame(event);
    strip.add(pixels);
    if (strip.chosen === undefined) this.showStep(step);
  }

  finish(event: FinishedEvent): void {
    const { id, request, frames } = this.#run;
    const pixels = frames.at(-1)?.pixels;
    if (event.run !== id || !pixels) return;
    this.#finished.set(keyOf(request), pixels);
    const { gallery, progress, edit, form } = this.#views();
    gallery.add(request, pixels);
    showPace(event);
    if (this.#next) {
      this.generate(this.#next);
      return;
    }
    progress.finish(event);
    edit.offer(baseRequestOf(request) ?? request, request);
    form.setDrawing(false);
  }

  /** The picture was cancelled, replaced or failed. */
  stop(id: number): void {
    if (id !== this.#run.id) return;
    this.#next = undefined;
    const { progress, form } = this.#views();
    progress.end('cancelled', 'Stopped');
    form.setDrawing(false);
  }

  showMaps(id: number, maps: readonly WordMaps[]): void {
    if (id !== this.#run.id) return;
    const { frames } = this.#run;
    for (const [index, map] of maps.entries()) if (frames[index]) frames[index].maps = map;
    const shown = frames[(this.#views().strip.chosen ?? frames.length) - 1];
    if (shown) this.#views().words.show(shown.maps);
  }

  #request(request: PictureRequest): void {
    const { form, progress } = this.#views();
    this.#run = { id: this.#run.id + 1, request, frames: [] };
    form.show(baseRequestOf(request) ?? request);
    form.setDrawing(true);
    progress.start(this.#next !== undefined);
    this.#post({ kind: 'generate', run: this.#run.id, request });
  }
}
