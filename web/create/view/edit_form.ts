import { element } from '../../shared/element';
import type { CheckedNews } from '../messages';
import type { PictureRequest } from '../request';
import { PromptCheck } from './prompt_check';

/** Another prompt for the picture that is there. */
export class EditForm {
  readonly #apply = element('apply-edit', HTMLButtonElement);
  readonly #keepElsewhere = element('keep-elsewhere', HTMLInputElement);
  readonly #check: PromptCheck;
  /** The picture that is kept; none until one has been drawn. */
  #base: PictureRequest | undefined;
  #isUsable = false;

  constructor(actions: { check(prompt: string): void; generate(request: PictureRequest): void }) {
    this.#check = new PromptCheck('edit-prompt', 'edit-check', actions.check, (isUsable) => {
      this.#isUsable = isUsable;
      this.#enable();
    });
    element('edit', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#apply.disabled || !this.#base) return;
      const { prompt: from, weights, seed, steps, guidance } = this.#base;
      const edit = { from, weights, keepElsewhere: this.#keepElsewhere.checked };
      actions.generate({ prompt: this.#check.prompt, weights: [], seed, steps, guidance, edit });
    });
  }

  /** A picture has been drawn: the base of an edit, or an edit of this base. */
  offer(base: PictureRequest, shown: PictureRequest): void {
    this.#base = base;
    if (shown.edit) this.#keepElsewhere.checked = shown.edit.keepElsewhere;
    this.#check.write(shown.prompt);
  }

  /** To be told when the vocabulary has changed. */
  ask(): void {
    this.#check.ask();
  }

  showCheck(news: CheckedNews): void {
    this.#check.show(news);
  }

  #enable(): void {
    this.#apply.disabled = !this.#isUsable || !this.#base || this.#check.prompt === this.#base.prompt;
  }
}
