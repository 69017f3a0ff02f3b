/** Checkboxes with a title and an optional line of detail. */
import { element } from '../../shared/element';

interface OptionDescription {
  readonly name: string;
  readonly value: string;
  readonly title: string;
  readonly detail?: string;
  readonly isChosen: boolean;
  readonly isDisabled?: boolean;
}

export function addOption(
  containerId: string,
  { name, value, title, detail, isChosen, isDisabled = false }: OptionDescription,
): void {
  const input = document.createElement('input');
  input.type = 'checkbox';
  input.name = name;
  input.value = value;
  input.id = `${name}-${value}`;
  input.checked = isChosen && !isDisabled;
  input.disabled = isDisabled;
  const label = document.createElement('label');
  label.htmlFor = input.id;
  label.textContent = title;
  const option = document.createElement('div');
  option.className = 'option';
  option.append(input, label);
  if (detail !== undefined) {
    const note = document.createElement('small');
    note.id = `${input.id}-detail`;
    note.textContent = detail;
    input.setAttribute('aria-describedby', note.id);
    option.append(note);
  }
  element(containerId, HTMLElement).append(option);
}

/** Returns the values of the checked boxes of this name. */
export function chosen(form: HTMLFormElement, name: string): string[] {
  const boxes = form.querySelectorAll<HTMLInputElement>(`input[name="${name}"]:checked`);
  return [...boxes].filter(({ disabled }) => !disabled).map(({ value }) => value);
}
