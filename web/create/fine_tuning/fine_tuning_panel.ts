/** "Teach it a new word": its name, pictures of it, a lesson in a worker of its own, and what came of it. */
import { element } from '../../shared/element';
import { onFileDrop } from '../../shared/file_drop';
import { WorkerLink } from '../../shared/typed_worker';
import { messageOf } from '../../shared/message_of';
import type { CheckedNews, WordsNews } from '../messages';
import { DrawingBoard } from './drawing_board';
import { LessonPictures } from './training_pictures';
import { LessonView } from './training_view';
import { FIRST_LESSON_SECONDS, LESSON_SECONDS, type Lesson, type TeacherNews } from './messages';
import { PictureFiles } from './picture_files';
import { WordKeeper, type WordKeeperActions } from './learned_words';

const PICTURE_SIZE = 32;
const FIRST_LIKE = 'circle';

export interface TeachActions extends WordKeeperActions {
  check(prompt: string): void;
}

export class TeachPanel {
  readonly #panel = element('teach', HTMLDetailsElement);
  readonly #word = element('new-word', HTMLInputElement);
  readonly #wordCheck = element('word-check', HTMLElement);
  readonly #like = element('like', HTMLSelectElement);
  readonly #time = element('lesson-time', HTMLSelectElement);
  readonly #start = element('start-lesson', HTMLButtonElement);
  readonly #stop = element('stop-lesson', HTMLButtonElement);
  readonly #view = new LessonView();
  readonly #files = new PictureFiles(PICTURE_SIZE);
  readonly #pictures = new LessonPictures(() => this.#enable());
  readonly #keeper: WordKeeper;
  readonly #actions: TeachActions;
  #isWordUsable = false;
  #learned: readonly string[] = [];
  #teacher: WorkerLink<Lesson, TeacherNews> | undefined;

  constructor(actions: TeachActions) {
    this.#actions = actions;
    this.#keeper = new WordKeeper(actions);
    new DrawingBoard((pixels) => this.#pictures.add(pixels));
    for (const seconds of LESSON_SECONDS) {
      this.#time.add(new Option(`${seconds} s`, String(seconds), false, seconds === FIRST_LESSON_SECONDS));
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
    element('lesson', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.#start.disabled) this.#teach();
    });
    this.#stop.addEventListener('click', () => this.#end('Cancelled: nothing was learned'));
  }

  showCheck({ prompt, words, unknown }: CheckedNews): void {
    if (prompt !== this.#wordName()) return;
    const complaint =
      words.length > 1
        ? 'One word, please.'
        : words.length === 1 && unknown.length === 0 && !this.#learned.includes(words[0]!)
          ? `It knows “${words[0]}” already.`
          : '';
    this.#wordCheck.textContent = complaint;
    this.#word.setAttribute('aria-invalid', String(complaint !== ''));
    this.#isWordUsable = words.length === 1 && complaint === '';
    this.#enable();
  }

  showWords(news: WordsNews): void {
    this.#keeper.show(news);
    this.#learned = news.learned;
    const chosen = this.#like.value || FIRST_LIKE;
    const known = news.vocabulary.filter((word) => !news.learned.includes(word));
    this.#like.replaceChildren(...known.map((word) => new Option(word, word, false, word === chosen)));
    this.#actions.check(this.#wordName());
  }

  async #addFiles(files: readonly File[]): Promise<void> {
    for (const file of files) {
      try {
        if (WordKeeper.isWordFile(file)) await this.#keeper.load(file);
        else this.#pictures.add(await this.#files.read(file));
      } catch (error) {
        this.#actions.complain(messageOf(error));
      }
    }
  }

  #teach(): void {
    const seconds = Number(this.#time.value);
    const word = this.#wordName();
    const { pixels: pictures, captions } = this.#pictures;
    this.#teacher = new WorkerLink(
      new Worker(new URL('../worker/fine_tuning.worker.ts', import.meta.url), {
        type: 'module',
        name: 'teacher',
      }),
    );
    this.#teacher.onNews((news) => this.#hear(news));
    this.#teacher.send({ word, like: this.#like.value, pictures, captions, seconds });
    this.#view.start(word, seconds);
    this.#enable();
    this.#stop.focus();
  }

  #hear(news: TeacherNews): void {
    switch (news.kind) {
      case 'lesson':
        this.#view.show(news);
        break;
      case 'preview':
        this.#view.showPreview(news.pixels);
        break;
      case 'taught':
        this.#end(`It has learned “${news.word}”`);
        this.#keeper.keep(news.bytes);
        break;
      case 'failed':
        this.#end('The lesson failed');
        this.#actions.complain(`The lesson failed: ${news.message}`);
        break;
    }
  }

  #end(text: string): void {
    this.#teacher?.end();
    this.#teacher = undefined;
    const hadFocus = document.activeElement === this.#stop;
    this.#view.end(text);
    this.#enable();
    if (hadFocus) this.#start.focus();
  }

  #wordName(): string {
    return this.#word.value.trim().toLowerCase();
  }

  #enable(): void {
    const isTeaching = this.#teacher !== undefined;
    this.#start.disabled = isTeaching || !this.#isWordUsable || !this.#pictures.isEnough;
    this.#stop.disabled = !isTeaching;
    element('add-drawing', HTMLButtonElement).disabled = this.#pictures.isFull;
  }
}
