/** The form in which a visitor chooses what is measured. */
import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';
import { shapes } from '../../../bench/shapes.mjs';
import { contenderChoices } from '../contender_choices';
import type { Machine } from '../machine';
import type { Choices } from '../messages';
import { taskNames } from '../plan';
import { bytes, shapeDetail, shapeTitle, TASK_DETAILS, TASK_TITLES } from '../titles';
import { addOption, chosen } from './options';

/** A minute or so on a usual machine, and what shows most. */
const FIRST_SHAPES = ['tiny', 'sd15-32', 'sd15-16'];
const FIRST_TASKS = ['forward'];
const SECONDS = [0.5, 1, 2, 5];
const FIRST_SECONDS = 1;

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
        isChosen: FIRST_SHAPES.includes(shape.name),
      });
    }
    for (const { id, label, options, isOurs, download } of contenderChoices) {
      const runsHere = options.simd !== 'relaxed' || machine.simd === 'relaxed';
      addOption('choose-contenders', {
        name: 'contender',
        value: id,
        title: label,
        detail: runsHere ? `${bytes(download)} download` : 'not in this browser',
        // Of ours the faster one.
        isChosen: isOurs ? options.simd === machine.simd : true,
        isDisabled: !runsHere,
      });
    }
    for (const task of taskNames) {
      addOption('choose-tasks', {
        name: 'task',
        value: task,
        title: TASK_TITLES[task],
        detail: TASK_DETAILS[task],
        isChosen: FIRST_TASKS.includes(task),
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
      ? `This machine has ${machine.cores} cores for a page.`
      : `Isolation: ${isolationText(false)}.`;
    for (const seconds of SECONDS) {
      this.#seconds.add(new Option(String(seconds), String(seconds), false, seconds === FIRST_SECONDS));
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

  /** While a run is on its way, its choices stay as they are. */
  setDisabled(disabled: boolean): void {
    for (const fieldset of this.#form.querySelectorAll('fieldset')) fieldset.disabled = disabled;
    this.#seconds.disabled = disabled;
  }
}

/** One, two, and all of them; two are shown even where they cannot be had, beside the reason. */
function threadCounts({ cores }: Machine): number[] {
  return [...new Set([1, 2, cores])]
    .filter((count) => count <= Math.max(2, cores))
    .sort((one, other) => one - other);
}
