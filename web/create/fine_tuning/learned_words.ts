import { download } from '../../shared/download';
import { element } from '../../shared/element';
import type { WordsEvent } from '../messages';
import { slugOf } from '../pixels';

const wordFileSuffix = '.safetensors';
/** Far above the size of a saved word. Keeps large files that were chosen by mistake out of memory. */
const maxFileBytes = 32e6;

export interface LearnedWordsActions {
  loadWords(bytes: Uint8Array<ArrayBuffer>): void;
  removeWords(): void;
  draw(prompt: string): void;
  showError(message: string): void;
}

/** The learned words: the buttons that draw, save, load and remove them. */
export class LearnedWords {
  readonly #text = element('learned', HTMLElement);
  readonly #try = element('try-word', HTMLButtonElement);
  readonly #save = element('save-word', HTMLButtonElement);
  readonly #remove = element('forget-word', HTMLButtonElement);
  readonly #file = element('word-file', HTMLInputElement);
  readonly #actions: LearnedWordsActions;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #words: readonly string[] = [];

  constructor(actions: LearnedWordsActions) {
    this.#actions = actions;
    this.#try.addEventListener('click', () => actions.draw(`a ${this.#words[0]}`));
    this.#remove.addEventListener('click', () => actions.removeWords());
    this.#save.addEventListener('click', () => {
      if (this.#bytes) download(this.#bytes, `${slugOf(this.#words.join(' '))}${wordFileSuffix}`);
    });
    element('load-word', HTMLButtonElement).addEventListener('click', () => this.#file.click());
    this.#file.addEventListener('change', () => {
      const file = this.#file.files?.[0];
      if (file) void this.load(file);
      // Choosing the same file again then counts as a change.
      this.#file.value = '';
    });
  }

  static isWordFile(file: File): boolean {
    return file.name.toLowerCase().endsWith(wordFileSuffix);
  }

  async load(file: File): Promise<void> {
    if (file.size > maxFileBytes) {
      this.#actions.showError(
        `“${file.name}” has ${(file.size / 1e6).toFixed(0)} MB; a word saved on this page has at most 32 MB.`,
      );
      return;
    }
    this.use(new Uint8Array(await file.arrayBuffer()));
  }

  /** Loads the words of a file into the generator, which posts an error if the file is invalid. */
  use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#actions.loadWords(bytes);
  }

  show({ learned }: WordsEvent): void {
    this.#words = learned;
    const hasWords = learned.length > 0;
    const names = learned.map((word) => `“${word}”`).join(', ');
    this.#text.textContent = hasWords
      ? `The model has learned ${names}. Learning or loading another word replaces it.`
      : 'No word has been learned yet.';
    this.#try.hidden = !hasWords;
    this.#try.textContent = `Draw “a ${learned[0]}”`;
    this.#save.disabled = this.#remove.disabled = !hasWords;
  }
}
