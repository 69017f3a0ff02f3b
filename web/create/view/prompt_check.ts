import { element } from '../../shared/element';
import type { CheckedEvent } from '../messages';

/** A text field for a prompt. Names words that the model does not know while the visitor types. */
export class PromptCheck {
  readonly field: HTMLInputElement;
  readonly #message: HTMLElement;
  readonly #requestCheck: (prompt: string) => void;
  readonly #onResult: (isUsable: boolean) => void;

  constructor(
    fieldId: string,
    messageId: string,
    requestCheck: (prompt: string) => void,
    onResult: (isUsable: boolean) => void,
  ) {
    this.field = element(fieldId, HTMLInputElement);
    this.#message = element(messageId, HTMLElement);
    this.#requestCheck = requestCheck;
    this.#onResult = onResult;
    this.field.addEventListener('input', () => this.check());
  }

  get prompt(): string {
    return this.field.value.trim();
  }

  write(prompt: string): void {
    this.field.value = prompt;
    this.check();
  }

  /** Must also be called when the vocabulary changed. */
  check(): void {
    this.#requestCheck(this.prompt);
  }

  /** Shows the result of a check. Ignores results for other texts, which belong to other fields. */
  show(event: CheckedEvent): void {
    if (event.prompt !== this.prompt) return;
    const problem = problemOf(event);
    this.field.setAttribute('aria-invalid', String(problem !== ''));
    if (this.#message.textContent !== problem) this.#message.textContent = problem;
    this.#onResult(problem === '' && event.words.length > 0);
  }
}

function problemOf({ words, unknown, maxWords }: CheckedEvent): string {
  if (unknown.length > 0) {
    const named = unknown.map((word) => `“${word}”`).join(', ');
    return (
      `The model does not know ${named}. The words that it knows are listed below the prompt. ` +
      'You can also teach it a new word.'
    );
  }
  if (words.length > maxWords)
    return `The prompt has ${words.length} words; the model reads at most ${maxWords}.`;
  return '';
}
