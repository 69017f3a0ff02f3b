import { download } from '../../shared/download';
import { element } from '../../shared/element';
import type { WordsNews } from '../messages';
import { slugOf } from '../pixels';

const SUFFIX = '.safetensors';
/** Far more than a word takes; keeps a film chosen by mistake out of memory. */
const LARGEST_FILE = 32 * 2 ** 20;

export interface WordKeeperActions {
  learn(bytes: Uint8Array<ArrayBuffer>): void;
  forget(): void;
  draw(prompt: string): void;
  complain(message: string): void;
}

/** The word that was learned last: drawn, saved, loaded, forgotten. */
export class WordKeeper {
  readonly #text = element('learned', HTMLElement);
  readonly #try = element('try-word', HTMLButtonElement);
  readonly #save = element('save-word', HTMLButtonElement);
  readonly #forget = element('forget-word', HTMLButtonElement);
  readonly #file = element('word-file', HTMLInputElement);
  readonly #actions: WordKeeperActions;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #words: readonly string[] = [];

  constructor(actions: WordKeeperActions) {
    this.#actions = actions;
    this.#try.addEventListener('click', () => actions.draw(`a ${this.#words[0]}`));
    this.#forget.addEventListener('click', () => actions.forget());
    this.#save.addEventListener('click', () => {
      if (this.#bytes) download(this.#bytes, `${slugOf(this.#words.join(' '))}${SUFFIX}`);
    });
    element('load-word', HTMLButtonElement).addEventListener('click', () => this.#file.click());
    this.#file.addEventListener('change', () => {
      const file = this.#file.files?.[0];
      if (file) void this.load(file);
      // So that choosing the same file again counts as a change.
      this.#file.value = '';
    });
  }

  static isWordFile(file: File): boolean {
    return file.name.toLowerCase().endsWith(SUFFIX);
  }

  async load(file: File): Promise<void> {
    if (file.size > LARGEST_FILE) {
      this.#actions.complain(`“${file.name}” is far too large to be a word saved on this page.`);
      return;
    }
    this.keep(new Uint8Array(await file.arrayBuffer()));
  }

  /** The generator gets a copy; whether it can use it, it says. */
  keep(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#actions.learn(bytes);
  }

  show({ learned }: WordsNews): void {
    this.#words = learned;
    const isThere = learned.length > 0;
    const named = learned.map((word) => `“${word}”`).join(', ');
    this.#text.textContent = isThere
      ? `It knows ${named} now. Another word would take its place.`
      : 'No word has been taught yet.';
    this.#try.hidden = !isThere;
    this.#try.textContent = `Draw “a ${learned[0]}”`;
    this.#save.disabled = this.#forget.disabled = !isThere;
  }
}
