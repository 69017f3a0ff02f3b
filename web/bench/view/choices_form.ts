/** The form in which visitors choose what to measure. */
import { shapes } from '../../../bench/shapes.mjs';
import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';
import { contenderChoices } from '../contender_choices';
import type { Machine } from '../machine';
import type { Choices } from '../messages';
import { taskNames } from '../plan';
import { bytes, shapeDetail, shapeTitle, taskDetails, taskTitles } from '../titles';
import { addOption, chosen } from './options';

/** The initial choice takes about a minute on a typical machine. */
const initialShapes = ['tiny', 'sd15-32', 'sd15-16'];
const initialTasks = ['forward'];
const secondsChoices = [0.5, 1, 2, 5];
const initialSeconds = 1;

export class ChoicesForm {
  readonly #form = element('choices', HTMLFormElement);
  readonly #seconds = element('seconds', HTMLSelectElement);

  constructor(machine: Machine) {
    for (const shape of shapes) {
      addOption('choose-shapes', {
        name: 'shape',
        value: shape.name,
        title: shapeTitle(shape),
        detail: shapeDetail(shape),
        isChosen: initialShapes.includes(shape.name),
      });
    }
    for (const { id, label, options, isOurs, download } of contenderChoices) {
      const runsHere = options.simd !== 'relaxed' || machine.simd === 'relaxed';
      addOption('choose-contenders', {
        name: 'contender',
        value: id,
        title: label,
        detail: runsHere ? `${bytes(download)} download` : 'not supported by this browser',
        // Of this package, the faster variant.
        isChosen: isOurs ? options.simd === machine.simd : true,
        isDisabled: !runsHere,
      });
    }
    for (const task of taskNames) {
      addOption('choose-tasks', {
        name: 'task',
        value: task,
        title: taskTitles[task],
        detail: taskDetails[task],
        isChosen: initialTasks.includes(task),
      });
    }
    for (const threads of threadCounts(machine)) {
      addOption('choose-threads', {
        name: 'threads',
        value: String(threads),
        title: String(threads),
        isChosen: threads === 1,
        isDisabled: threads > machine.threads,
      });
    }
    element('threads-hint', HTMLElement).textContent = machine.crossOriginIsolated
      ? `This browser can use ${machine.cores} cores.`
      : `The page is ${isolationText(false)}.`;
    for (const seconds of secondsChoices) {
      this.#seconds.add(new Option(String(seconds), String(seconds), false, seconds === initialSeconds));
    }
  }

  choices(): Choices {
    return {
      shapes: chosen(this.#form, 'shape'),
      tasks: chosen(this.#form, 'task'),
      contenders: chosen(this.#form, 'contender'),
      threads: chosen(this.#form, 'threads').map(Number),
      seconds: Number(this.#seconds.value),
    };
  }

  onChange(act: () => void): void {
    this.#form.addEventListener('change', act);
  }

  onSubmit(act: () => void): void {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      act();
    });
  }

  /** Disables the form during a run. */
  setDisabled(disabled: boolean): void {
    for (const fieldset of this.#form.querySelectorAll('fieldset')) fieldset.disabled = disabled;
    this.#seconds.disabled = disabled;
  }
}

/** Returns 1, 2 and the number of cores. Shows 2 even if it is not available, next to the reason. */
function threadCounts({ cores }: Machine): number[] {
  return [...new Set([1, 2, cores])]
    .filter((count) => count <= Math.max(2, cores))
    .sort((one, other) => one - other);
}
