import type { FinishedNews, FrameNews, WordMaps, Command } from './messages';
import { linkOf } from './request_link';
import type { Pixels } from './pixels';
import { baseOf, keyOf, type PictureRequest } from './request';
import type { EditForm } from './view/edit_form';
import type { Gallery } from './view/gallery';
import type { ProgressView } from './view/progress_view';
import type { PromptForm } from './view/prompt_form';
import { showPace } from './view/runtime_panel';
import type { Stage } from './view/picture_view';
import type { StepStrip } from './view/step_strip';
import type { TakeHome } from './view/picture_export';
import type { WordGrid } from './view/word_grid';

export interface StudioViews {
  readonly stage: Stage;
  readonly strip: StepStrip;
  readonly words: WordGrid;
  readonly progress: ProgressView;
  readonly form: PromptForm;
  readonly edit: EditForm;
  readonly gallery: Gallery;
  readonly takeHome: TakeHome;
}

interface Frame {
  readonly pixels: Pixels;
  maps: WordMaps;
}

/** One picture being drawn, or drawn. */
interface Run {
  readonly id: number;
  readonly request: PictureRequest;
  readonly frames: Frame[];
}

/** One picture at a time, from its request to all that is shown of it. */
export class Studio {
  readonly #send: (command: Command) => void;
  readonly #views: () => StudioViews;
  #run: Run = { id: 0, request: { prompt: '', seed: 0, steps: 0, guidance: 0, weights: [] }, frames: [] };
  /** An edit that waits for the picture it begins with. */
  #next: PictureRequest | undefined;
  /** Finished pictures by their requests. */
  readonly #finished = new Map<string, Pixels>();

  constructor(send: (command: Command) => void, views: () => StudioViews) {
    this.#send = send;
    this.#views = views;
  }

  generate(request: PictureRequest): void {
    const base = baseOf(request);
    const isBaseMissing = base !== undefined && !this.#finished.has(keyOf(base));
    this.#next = isBaseMissing ? request : undefined;
    this.#begin(isBaseMissing ? base : request);
  }

  /** The weights that a picture of this prompt has; another prompt has none yet. */
  weightsFor(prompt: string): readonly number[] {
    const { request } = this.#run;
    const base = baseOf(request) ?? request;
    return base.prompt === prompt ? base.weights : [];
  }

  /** The same picture, but that its words count differently. */
  weigh(weights: readonly number[]): void {
    this.generate({ ...this.#run.request, weights });
  }

  cancel(): void {
    this.#next = undefined;
    this.#send({ kind: 'cancel' });
  }

  /** With other words learned, the same request gives another picture. */
  forgetPictures(): void {
    this.#finished.clear();
  }

  look(step: number): void {
    const frame = this.#run.frames[step - 1];
    if (!frame) return;
    const { stage, words, takeHome } = this.#views();
    stage.show(frame.pixels, step, this.#run.request.steps);
    words.show(frame.maps);
    takeHome.offer(this.#run.request, frame.pixels);
  }

  started(id: number, words: readonly string[]): void {
    if (id !== this.#run.id) return;
    const { request } = this.#run;
    const base = baseOf(request);
    const before = base && this.#finished.get(keyOf(base));
    const views = this.#views();
    views.stage.prepare(request.prompt, before && { prompt: base.prompt, pixels: before });
    views.words.showWords(words, request.weights);
    views.strip.clear();
    history.replaceState(null, '', linkOf(this.#next ?? request));
  }

  add(news: FrameNews): void {
    if (news.run !== this.#run.id) return;
    const { pixels, maps, step } = news;
    this.#run.frames.push({ pixels, maps });
    const { strip, progress } = this.#views();
    progress.showFrame(news);
    strip.add(pixels);
    if (strip.chosen === undefined) this.look(step);
  }

  finish(news: FinishedNews): void {
    const { id, request, frames } = this.#run;
    const pixels = frames.at(-1)?.pixels;
    if (news.run !== id || !pixels) return;
    this.#finished.set(keyOf(request), pixels);
    const { gallery, progress, edit, form } = this.#views();
    gallery.add(request, pixels);
    showPace(news);
    if (this.#next) {
      this.generate(this.#next);
      return;
    }
    progress.finish(news);
    edit.offer(baseOf(request) ?? request, request);
    form.setDrawing(false);
  }

  /** It was cancelled, or failed. */
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

  #begin(request: PictureRequest): void {
    const { form, progress } = this.#views();
    this.#run = { id: this.#run.id + 1, request, frames: [] };
    form.show(baseOf(request) ?? request);
    form.setDrawing(true);
    progress.start(this.#next !== undefined);
    this.#send({ kind: 'generate', run: this.#run.id, request });
  }
}
