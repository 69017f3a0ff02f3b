/** The prompt, examples of one, and the vocabulary. */
import { element } from '../../shared/element';
import type { CheckedNews, WordsNews } from '../messages';
import { EXAMPLES, randomSeed, type PictureRequest } from '../request';
import { PromptCheck } from './prompt_check';
import { Settings } from './settings';

export interface PromptFormActions {
  /** With the weights that the words of this prompt have had, if any. */
  generate(request: PictureRequest): void;
  cancel(): void;
  check(prompt: string): void;
  /** Asks for a prompt; it is shown by `try`. */
  surprise(): void;
}

export class PromptForm {
  readonly #actions: PromptFormActions;
  readonly #settings = new Settings();
  readonly #check: PromptCheck;
  readonly #generate = element('generate', HTMLButtonElement);
  readonly #cancel = element('cancel', HTMLButtonElement);
  readonly #vocabulary = element('vocabulary', HTMLElement);

  constructor(actions: PromptFormActions) {
    this.#actions = actions;
    this.#check = new PromptCheck('prompt', 'prompt-check', actions.check, (isUsable) => {
      this.#generate.disabled = !isUsable;
    });
    element('prompt-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.#generate.disabled) this.#submit();
    });
    this.#cancel.addEventListener('click', actions.cancel);
    const surprise = element('surprise', HTMLButtonElement);
    surprise.addEventListener('click', actions.surprise);
    surprise.after(...EXAMPLES.map((prompt) => this.#example(prompt)));
    element('dice', HTMLButtonElement).addEventListener('click', () => {
      this.#settings.seed = randomSeed();
      if (!this.#generate.disabled) this.#submit();
    });
  }

  /** A picture is on its way: its prompt and settings. */
  show(request: PictureRequest): void {
    this.#check.write(request.prompt);
    this.#settings.show(request);
  }

  /** Draws another prompt with the settings as they are. */
  try(prompt: string): void {
    this.#check.write(prompt);
    this.#submit();
  }

  showCheck(news: CheckedNews): void {
    this.#check.show(news);
  }

  showWords({ vocabulary, learned }: WordsNews): void {
    this.#vocabulary.replaceChildren(
      ...vocabulary.map((word) => {
        const item = document.createElement('li');
        item.textContent = word;
        if (learned.includes(word)) item.className = 'learned-word';
        return item;
      }),
    );
    this.#check.ask();
  }

  setDrawing(isDrawing: boolean): void {
    const hadFocus = document.activeElement === this.#cancel;
    this.#cancel.disabled = !isDrawing;
    // The focus must not get lost with a button that is disabled under it.
    if (hadFocus && !isDrawing) this.#generate.focus();
  }

  #submit(): void {
    this.#actions.generate({ prompt: this.#check.prompt, weights: [], ...this.#settings.values() });
  }

  #example(prompt: string): HTMLButtonElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = prompt;
    button.addEventListener('click', () => this.try(prompt));
    return button;
  }
}
