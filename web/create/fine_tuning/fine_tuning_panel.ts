/** The panel "Teach it a new word": word, pictures, training in a worker, and the learned word. */
import { element } from '../../shared/element';
import { onFileDrop } from '../../shared/file_drop';
import { messageOf } from '../../shared/message_of';
import { TypedWorker } from '../../shared/typed_worker';
import type { CheckedEvent, WordsEvent } from '../messages';
import { DrawingBoard } from './drawing_board';
import { LearnedWords, type LearnedWordsActions } from './learned_words';
import {
  initialTrainingSeconds,
  trainingSecondsChoices,
  type FineTuningEvent,
  type FineTuningRequest,
} from './messages';
import { PictureFiles } from './picture_files';
import { TrainingPictures } from './training_pictures';
import { TrainingView } from './training_view';

const pictureSize = 32;
const initialLike = 'circle';

export interface FineTuningActions extends LearnedWordsActions {
  check(prompt: string): void;
}

export class FineTuningPanel {
  readonly #panel = element('fine-tuning', HTMLDetailsElement);
  readonly #word = element('new-word', HTMLInputElement);
  readonly #wordCheck = element('word-check', HTMLElement);
  readonly #like = element('start-from', HTMLSelectElement);
  readonly #time = element('training-time', HTMLSelectElement);
  readonly #start = element('start-training', HTMLButtonElement);
  readonly #stop = element('stop-training', HTMLButtonElement);
  readonly #view = new TrainingView();
  readonly #files = new PictureFiles(pictureSize);
  readonly #pictures = new TrainingPictures(() => this.#enable());
  readonly #learnedWords: LearnedWords;
  readonly #actions: FineTuningActions;
  #isWordUsable = false;
  #learned: readonly string[] = [];
  #worker: TypedWorker<FineTuningRequest, FineTuningEvent> | undefined;

  constructor(actions: FineTuningActions) {
    this.#actions = actions;
    this.#learnedWords = new LearnedWords(actions);
    new DrawingBoard((pixels) => this.#pictures.add(pixels));
    for (const seconds of trainingSecondsChoices) {
      this.#time.add(new Option(`${seconds} s`, String(seconds), false, seconds === initialTrainingSeconds));
    }
    this.#word.addEventListener('input', () => {
      this.#pictures.word = this.#wordName();
      actions.check(this.#wordName());
    });
    const picker = element('picture-files', HTMLInputElement);
    element('choose-pictures', HTMLButtonElement).addEventListener('click', () => picker.click());
    picker.addEventListener('change', () => {
      void this.#addFiles([...(picker.files ?? [])]);
      picker.value = '';
    });
    onFileDrop(document.body, (files) => {
      this.#panel.open = true;
      void this.#addFiles(files);
    });
    element('training', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.#start.disabled) this.#train();
    });
    this.#stop.addEventListener('click', () => this.#end('Cancelled; nothing was learned'));
  }

  showCheck({ prompt, words, unknown }: CheckedEvent): void {
    if (prompt !== this.#wordName()) return;
    const problem =
      words.length > 1
        ? 'Enter a single word.'
        : words.length === 1 && unknown.length === 0 && !this.#learned.includes(words[0]!)
          ? `The model already knows “${words[0]}”.`
          : '';
    this.#wordCheck.textContent = problem;
    this.#word.setAttribute('aria-invalid', String(problem !== ''));
    this.#isWordUsable = words.length === 1 && problem === '';
    this.#enable();
  }

  showWords(event: WordsEvent): void {
    this.#learnedWords.show(event);
    this.#learned = event.learned;
    const chosen = this.#like.value || initialLike;
    const known = event.vocabulary.filter((word) => !event.learned.includes(word));
    this.#like.replaceChildren(...known.map((word) => new Option(word, word, false, word === chosen)));
    this.#actions.check(this.#wordName());
  }

  async #addFiles(files: readonly File[]): Promise<void> {
    for (const file of files) {
      try {
        if (LearnedWords.isWordFile(file)) await this.#learnedWords.load(file);
        else this.#pictures.add(await this.#files.read(file));
      } catch (error) {
        this.#actions.showError(messageOf(error));
      }
    }
  }

  #train(): void {
    const seconds = Number(this.#time.value);
    const word = this.#wordName();
    const { pixels: pictures, captions } = this.#pictures;
    this.#worker = new TypedWorker(
      new Worker(new URL('../worker/fine_tuning.worker.ts', import.meta.url), {
        type: 'module',
        name: 'fine-tuning',
      }),
    );
    this.#worker.onEvent((event) => this.#handle(event));
    this.#worker.post({ word, like: this.#like.value, pictures, captions, seconds });
    this.#view.start(word, seconds);
    this.#enable();
    this.#stop.focus();
  }

  #handle(event: FineTuningEvent): void {
    switch (event.kind) {
      case 'progress':
        this.#view.show(event);
        break;
      case 'preview':
        this.#view.showPreview(event.pixels);
        break;
      case 'finished':
        this.#end(`The model has learned “${event.word}”`);
        this.#learnedWords.use(event.bytes);
        break;
      case 'failed':
        this.#end('The training failed');
        this.#actions.showError(`The training failed: ${event.message}`);
        break;
    }
  }

  #end(text: string): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    const hadFocus = document.activeElement === this.#stop;
    this.#view.end(text);
    this.#enable();
    if (hadFocus) this.#start.focus();
  }

  #wordName(): string {
    return this.#word.value.trim().toLowerCase();
  }

  #enable(): void {
    const isTraining = this.#worker !== undefined;
    this.#start.disabled = isTraining || !this.#isWordUsable || !this.#pictures.isEnough;
    this.#stop.disabled = !isTraining;
    element('add-drawing', HTMLButtonElement).disabled = this.#pictures.isFull;
  }
}
