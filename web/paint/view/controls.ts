import { element } from '../../shared/element';
import {
  contextLengths,
  headCounts,
  pictureSizes,
  type PainterMessage,
  type Configuration,
  type PainterStatus,
} from '../messages';
import { Menu } from './menu';

const toggleLabels: Record<PainterStatus, string> = {
  training: 'Pause',
  paused: 'Resume',
  finished: 'Continue',
};
const weightsSuffix = '.safetensors';

/** The buttons and menus below the pictures. */
export class Controls {
  readonly #post: (message: PainterMessage) => void;
  readonly #toggle = element('toggle', HTMLButtonElement);
  readonly #size: Menu;
  readonly #contextLength: Menu;
  readonly #heads: Menu;
  #status: PainterStatus = 'training';

  constructor(post: (message: PainterMessage) => void) {
    this.#post = post;
    const configure = (change: Partial<Configuration>): void => post({ kind: 'configure', change });
    const square = (size: number): string => `${size} × ${size}`;
    this.#size = new Menu('size', pictureSizes, (size) => configure({ size }), square);
    this.#contextLength = new Menu('context-length', contextLengths, (length) =>
      configure({ contextLength: length }),
    );
    this.#heads = new Menu('heads', headCounts, (heads) => configure({ heads }));

    const pauseOrResume = (): void => post({ kind: this.#status === 'training' ? 'pause' : 'resume' });
    this.#toggle.addEventListener('click', pauseOrResume);
    onClick('restart', () => post({ kind: 'restart' }));
    onClick('sample', () => post({ kind: 'paintSample' }));
    onClick('save', () => post({ kind: 'save' }));
    connectFilePicker('choose-picture', 'picture-file', (file) => this.receiveFile(file));
    connectFilePicker('load', 'weights-file', (file) => post({ kind: 'load', file }));
  }

  /** Loads a file: saved weights if its name ends with .safetensors, else a picture. */
  receiveFile(file: File): void {
    const isWeights = file.name.toLowerCase().endsWith(weightsSuffix);
    this.#post({ kind: isWeights ? 'load' : 'paintPicture', file });
  }

  showStatus(status: PainterStatus): void {
    this.#status = status;
    this.#toggle.textContent = toggleLabels[status];
  }

  showConfiguration({ size, contextLength, heads }: Configuration): void {
    this.#size.choose(size);
    this.#contextLength.choose(contextLength);
    this.#heads.choose(heads);
  }

  enable(): void {
    setDisabled(false);
  }

  disable(): void {
    setDisabled(true);
  }
}

function setDisabled(disabled: boolean): void {
  type Control = HTMLButtonElement | HTMLSelectElement;
  for (const control of document.querySelectorAll<Control>('.toolbar :is(button, select)')) {
    control.disabled = disabled;
  }
}

function onClick(id: string, act: () => void): void {
  element(id, HTMLButtonElement).addEventListener('click', act);
}

function connectFilePicker(buttonId: string, inputId: string, receive: (file: File) => void): void {
  const input = element(inputId, HTMLInputElement);
  onClick(buttonId, () => input.click());
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    if (file) receive(file);
    // Choosing the same file again then counts as a change.
    input.value = '';
  });
}
