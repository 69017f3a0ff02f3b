// Description of a compiled graph as a table.
import type { CoreCompiledGraph } from './core';

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Formats a part of a whole with one decimal, such as '12.5 %'; '0.0 %' if the whole is not positive. */
const percent = (part: number, whole: number): string =>
  `${(whole > 0 ? (100 * part) / whole : 0).toFixed(1)} %`;

/** One step of a compiled graph. */
interface StepDescription {
  step: string;
  kernel: string;
  association: string;
  flops: number;
  bytes: number;
}

/** One output of a compiled graph. */
export interface PlanDescription {
  /** Indices of the inputs that a run needs. */
  inputs: readonly number[];
  /** FLOPs of the graph before compilation. */
  flopsBefore: number;
  bytesBefore: number;
  /** Bytes of cached constants, such as projected keys and values. */
  cachedBytes: number;
  steps: readonly StepDescription[];
}

/** Returns the core's description of an output. */
export function planDescription(handle: CoreCompiledGraph, output: number): PlanDescription {
  const texts = handle.texts(output);
  const [flopsBefore, bytesBefore, cachedBytes, ...numbers] = handle.numbers(output) as [
    number,
    number,
    number,
  ];
  const steps = Array.from({ length: texts.length / 3 }, (_, index) => ({
    step: texts[3 * index]!,
    kernel: texts[3 * index + 1]!,
    association: texts[3 * index + 2]!,
    flops: numbers[2 * index]!,
    bytes: numbers[2 * index + 1]!,
  }));
  return { inputs: handle.inputs(output), flopsBefore, bytesBefore, cachedBytes, steps };
}

/** FLOPs of a run of all these outputs. */
export const flopsOf = (plans: readonly PlanDescription[]): number =>
  sum(plans.flatMap(({ steps }) => steps.map(({ flops }) => flops)));

const columns = ['step', 'kernel', 'association', 'FLOPs', 'bytes', 'share of the FLOPs'];
/** The first columns are text, aligned to the left; the others are numbers, aligned to the right. */
const textColumns = 3;

const millions = (value: number): string => `${(value / 1e6).toFixed(value < 1e7 ? 3 : 1)} M`;

/** Returns a table of all steps, with the totals and the cost of the graph before compilation. */
export function describePlans(plans: readonly PlanDescription[], scratchBytes: number): string {
  const steps = plans.flatMap((plan) => plan.steps);
  const flops = flopsOf(plans);
  const bytes = sum(steps.map((step) => step.bytes));
  const flopsBefore = sum(plans.map((plan) => plan.flopsBefore));
  const bytesBefore = sum(plans.map((plan) => plan.bytesBefore));
  const cached = sum(plans.map((plan) => plan.cachedBytes));
  const rows = [
    columns,
    ...steps.map((step) => [
      step.step,
      step.kernel,
      step.association,
      millions(step.flops),
      millions(step.bytes),
      percent(step.flops, flops),
    ]),
    ['compiled', '', '', millions(flops), millions(bytes), percent(flops, flops)],
    ['unoptimised', '', '', millions(flopsBefore), millions(bytesBefore), percent(flopsBefore, flops)],
  ];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column < textColumns ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
  lines.push(
    `scratch ${millions(scratchBytes)}B, cached ${millions(cached)}B; ` +
      `${(flops > 0 ? flopsBefore / flops : 1).toFixed(2)} times less work than unoptimised`,
  );
  return lines.join('\n');
}
