/** The plan of a run: the page lays out its results, the worker carries it out. */
import { isMeaningful, shapes, tasks } from '../../bench/shapes.mjs';
import { contenderChoices, titleOf, type ContenderChoice } from './contender_choices';
import type { Choices } from './messages';

export const measuredDtype = 'float32';

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

/** This package comes first, because the results of the others are compared with it. */
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
