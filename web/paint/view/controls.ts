import { element } from '../../shared/element';
import {
  CONTEXT_LENGTHS,
  HEAD_COUNTS,
  PICTURE_SIZES,
  type Command,
  type Configuration,
  type PainterStatus,
} from '../messages';
import { Menu } from './menu';

const TOGGLE_TEXT: Record<PainterStatus, string> = {
  training: 'Pause',
  paused: 'Resume',
  finished: 'Go on',
};
const WEIGHTS_SUFFIX = '.safetensors';

/** The buttons and menus below the pictures. */
export class Controls {
  readonly #send: (command: Command) => void;
  readonly #toggle = element('toggle', HTMLButtonElement);
  readonly #size: Menu;
  readonly #contextLength: Menu;
  readonly #heads: Menu;
  #status: PainterStatus = 'training';

  constructor(send: (command: Command) => void) {
    this.#send = send;
    const configure = (change: Partial<Configuration>): void => send({ kind: 'configure', change });
    const square = (size: number): string => `${size} × ${size}`;
    this.#size = new Menu('size', PICTURE_SIZES, (size) => configure({ size }), square);
    this.#contextLength = new Menu('context-length', CONTEXT_LENGTHS, (length) =>
      configure({ contextLength: length }),
    );
    this.#heads = new Menu('heads', HEAD_COUNTS, (heads) => configure({ heads }));

    const pauseOrResume = (): void => send({ kind: this.#status === 'training' ? 'pause' : 'resume' });
    this.#toggle.addEventListener('click', pauseOrResume);
    onClick('restart', () => send({ kind: 'restart' }));
    onClick('sample', () => send({ kind: 'paintSample' }));
    onClick('save', () => send({ kind: 'save' }));
    connectFilePicker('choose-picture', 'picture-file', (file) => this.receiveFile(file));
    connectFilePicker('load', 'weights-file', (file) => send({ kind: 'load', file }));
  }

  /** A file from anywhere: saved weights by their name, else a picture. */
  receiveFile(file: File): void {
    const isWeights = file.name.toLowerCase().endsWith(WEIGHTS_SUFFIX);
    this.#send({ kind: isWeights ? 'load' : 'paintPicture', file });
  }

  showStatus(status: PainterStatus): void {
    this.#status = status;
    this.#toggle.textContent = TOGGLE_TEXT[status];
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
    // So that choosing the same file again counts as a change.
    input.value = '';
  });
}
