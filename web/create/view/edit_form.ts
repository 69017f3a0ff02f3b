import { element } from '../../shared/element';
import type { CheckedEvent } from '../messages';
import type { PictureRequest } from '../request';
import { PromptCheck } from './prompt_check';

/** The form that changes the prompt of the current picture. */
export class EditForm {
  readonly #apply = element('apply-edit', HTMLButtonElement);
  readonly #keepElsewhere = element('keep-elsewhere', HTMLInputElement);
  readonly #promptCheck: PromptCheck;
  /** The picture that an edit starts from; undefined until one was drawn. */
  #base: PictureRequest | undefined;
  #isUsable = false;

  constructor(actions: { check(prompt: string): void; generate(request: PictureRequest): void }) {
    this.#promptCheck = new PromptCheck('edit-prompt', 'edit-check', actions.check, (isUsable) => {
      this.#isUsable = isUsable;
      this.#enable();
    });
    element('edit', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#apply.disabled || !this.#base) return;
      const { prompt: from, weights, seed, steps, guidance } = this.#base;
      const edit = { from, weights, keepElsewhere: this.#keepElsewhere.checked };
      actions.generate({ prompt: this.#promptCheck.prompt, weights: [], seed, steps, guidance, edit });
    });
  }

  /** Called after a picture was drawn: `shown` is `base` or an edit of it. */
  offer(base: PictureRequest, shown: PictureRequest): void {
    this.#base = base;
    if (shown.edit) this.#keepElsewhere.checked = shown.edit.keepElsewhere;
    this.#promptCheck.write(shown.prompt);
  }

  /** Must be called when the vocabulary changed. */
  check(): void {
    this.#promptCheck.check();
  }

  showCheck(event: CheckedEvent): void {
    this.#promptCheck.show(event);
  }

  #enable(): void {
    this.#apply.disabled = !this.#isUsable || !this.#base || this.#promptCheck.prompt === this.#base.prompt;
  }
}
