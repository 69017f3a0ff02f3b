import type { CoreCompiledGraph } from './core';

/** One step of a compiled graph. */
interface StepDescription {
  step: string;
  kernel: string;
  association: string;
  flops: number;
  bytes: number;
}

/** One output of a compiled graph. `inputs`: the places of the inputs that a run takes. */
export interface PlanDescription {
  inputs: readonly number[];
  flopsBefore: number;
  bytesBefore: number;
  heldBytes: number;
  steps: readonly StepDescription[];
}

/** What the core tells of an output. */
export function planDescription(handle: CoreCompiledGraph, output: number): PlanDescription {
  const texts = handle.texts(output);
  const [flopsBefore, bytesBefore, heldBytes, ...numbers] = handle.numbers(output) as [
    number,
    number,
    number,
  ];
  const steps = Array.from({ length: texts.length / 3 }, (_, number) => ({
    step: texts[3 * number]!,
    kernel: texts[3 * number + 1]!,
    association: texts[3 * number + 2]!,
    flops: numbers[2 * number]!,
    bytes: numbers[2 * number + 1]!,
  }));
  return { inputs: handle.inputs(output), flopsBefore, bytesBefore, heldBytes, steps };
}

const columns = ['step', 'kernel', 'association', 'FLOPs', 'bytes', 'share of the FLOPs'];
/** Texts to the left, numbers to the right. */
const textColumns = 3;

const millions = (number: number): string => `${(number / 1e6).toFixed(number < 1e7 ? 3 : 1)} M`;
const percent = (part: number, whole: number): string =>
  `${(whole > 0 ? (100 * part) / whole : 0).toFixed(1)} %`;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** A table of all steps, and what the graph would have cost as it was written. */
export function describePlans(plans: readonly PlanDescription[], scratchBytes: number): string {
  const steps = plans.flatMap((plan) => plan.steps);
  const flops = sum(steps.map((step) => step.flops));
  const bytes = sum(steps.map((step) => step.bytes));
  const flopsBefore = sum(plans.map((plan) => plan.flopsBefore));
  const bytesBefore = sum(plans.map((plan) => plan.bytesBefore));
  const held = sum(plans.map((plan) => plan.heldBytes));
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
    `scratch ${millions(scratchBytes)}B, kept ${millions(held)}B; ` +
      `${(flops > 0 ? flopsBefore / flops : 1).toFixed(2)} times less work than unoptimised`,
  );
  return lines.join('\n');
}
