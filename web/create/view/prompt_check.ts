import { element } from '../../shared/element';
import type { CheckedNews } from '../messages';

/** A text field for a prompt: what the model does not know of it is named while it is being typed. */
export class PromptCheck {
  readonly field: HTMLInputElement;
  readonly #message: HTMLElement;
  readonly #ask: (prompt: string) => void;
  readonly #onVerdict: (isUsable: boolean) => void;

  constructor(
    fieldId: string,
    messageId: string,
    ask: (prompt: string) => void,
    onVerdict: (isUsable: boolean) => void,
  ) {
    this.field = element(fieldId, HTMLInputElement);
    this.#message = element(messageId, HTMLElement);
    this.#ask = ask;
    this.#onVerdict = onVerdict;
    this.field.addEventListener('input', () => this.ask());
  }

  get prompt(): string {
    return this.field.value.trim();
  }

  write(prompt: string): void {
    this.field.value = prompt;
    this.ask();
  }

  /** To be asked again when the vocabulary has changed. */
  ask(): void {
    this.#ask(this.prompt);
  }

  /** Answers come for all fields; one that another text was asked about is not for this. */
  show(news: CheckedNews): void {
    if (news.prompt !== this.prompt) return;
    const complaint = complaintAbout(news);
    this.field.setAttribute('aria-invalid', String(complaint !== ''));
    if (this.#message.textContent !== complaint) this.#message.textContent = complaint;
    this.#onVerdict(complaint === '' && news.words.length > 0);
  }
}

function complaintAbout({ words, unknown, mostWords }: CheckedNews): string {
  if (unknown.length > 0) {
    const named = unknown.map((word) => `“${word}”`).join(', ');
    return `The model does not know ${named}. The words it knows are listed below the prompt; you can also teach it one.`;
  }
  if (words.length > mostWords)
    return `${words.length} words are too many: the model reads up to ${mostWords}.`;
  return '';
}
