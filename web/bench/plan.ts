/** What a run of the benchmark will do: the page makes room for it, the worker does it. */
import { isMeaningful, shapes, tasks } from '../../bench/shapes.mjs';
import { contenderChoices, titleOf, type ContenderChoice } from './contender_choices';
import type { Choices } from './messages';

export const DTYPE = 'float32';

export type TaskName = keyof typeof tasks;
export type Shape = (typeof shapes)[number];

export interface PlannedContender {
  readonly choice: ContenderChoice;
  readonly threads: number;
  readonly title: string;
}

export interface PlannedMeasurement {
  readonly id: string;
  readonly task: TaskName;
  readonly shape: Shape;
}

export const taskNames = Object.keys(tasks) as TaskName[];

export const measurementId = (task: string, shapeName: string): string => `${task}-${shapeName}`;

/** Ours first: the others' results are compared with them. */
export function plannedContenders({ contenders, threads }: Choices): PlannedContender[] {
  return contenderChoices
    .filter(({ id }) => contenders.includes(id))
    .flatMap((choice) => threads.map((count) => ({ choice, threads: count, title: titleOf(choice, count) })));
}

export function plannedMeasurements({ shapes: names, tasks: chosenTasks }: Choices): PlannedMeasurement[] {
  return taskNames
    .filter((task) => chosenTasks.includes(task))
    .flatMap((task) =>
      shapes
        .filter((shape) => names.includes(shape.name) && isMeaningful(shape, task))
        .map((shape) => ({ id: measurementId(task, shape.name), task, shape })),
    );
}
