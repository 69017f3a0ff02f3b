/** The form with the prompt, examples, settings and the vocabulary. */
import { element } from '../../shared/element';
import type { CheckedEvent, WordsEvent } from '../messages';
import { examplePrompts, randomSeed, type PictureRequest } from '../request';
import { PromptCheck } from './prompt_check';
import { Settings } from './settings';

export interface PromptFormActions {
  /** Draws a picture. `request.weights` is empty; the caller adds the weights of this prompt. */
  generate(request: PictureRequest): void;
  cancel(): void;
  check(prompt: string): void;
  /** Requests a random prompt; `draw` receives it. */
  surprise(): void;
}

export class PromptForm {
  readonly #actions: PromptFormActions;
  readonly #settings = new Settings();
  readonly #promptCheck: PromptCheck;
  readonly #generate = element('generate', HTMLButtonElement);
  readonly #cancel = element('cancel', HTMLButtonElement);
  readonly #vocabulary = element('vocabulary', HTMLElement);

  constructor(actions: PromptFormActions) {
    this.#actions = actions;
    this.#promptCheck = new PromptCheck('prompt', 'prompt-check', actions.check, (isUsable) => {
      this.#generate.disabled = !isUsable;
    });
    element('prompt-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.#generate.disabled) this.#submit();
    });
    this.#cancel.addEventListener('click', actions.cancel);
    const surprise = element('surprise', HTMLButtonElement);
    surprise.addEventListener('click', actions.surprise);
    surprise.after(...examplePrompts.map((prompt) => this.#example(prompt)));
    element('dice', HTMLButtonElement).addEventListener('click', () => {
      this.#settings.seed = randomSeed();
      if (!this.#generate.disabled) this.#submit();
    });
  }

  /** Shows the prompt and the settings of the picture that is being drawn. */
  show(request: PictureRequest): void {
    this.#promptCheck.write(request.prompt);
    this.#settings.show(request);
  }

  /** Draws another prompt with the current settings. */
  draw(prompt: string): void {
    this.#promptCheck.write(prompt);
    this.#submit();
  }

  showCheck(event: CheckedEvent): void {
    this.#promptCheck.show(event);
  }

  showWords({ vocabulary, learned }: WordsEvent): void {
    this.#vocabulary.replaceChildren(
      ...vocabulary.map((word) => {
        const item = document.createElement('li');
        item.textContent = word;
        if (learned.includes(word)) item.className = 'learned-word';
        return item;
      }),
    );
    this.#promptCheck.check();
  }

  setDrawing(isDrawing: boolean): void {
    const hadFocus = document.activeElement === this.#cancel;
    this.#cancel.disabled = !isDrawing;
    // A button that is disabled while it has the focus loses it.
    if (hadFocus && !isDrawing) this.#generate.focus();
  }

  #submit(): void {
    this.#actions.generate({ prompt: this.#promptCheck.prompt, weights: [], ...this.#settings.values() });
  }

  #example(prompt: string): HTMLButtonElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = prompt;
    button.addEventListener('click', () => this.draw(prompt));
    return button;
  }
}
