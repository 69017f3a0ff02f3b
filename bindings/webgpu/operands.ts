// Tensors of a call: operands in GPU memory or to be uploaded, and results.
import type { TokenLayout } from './call';
import type { Device } from './device';
import type { GpuBuffer } from './memory';
import type { Scratch } from './scratch';

/** A tensor of a call: in GPU memory, or numbers that are uploaded when the call is submitted. */
export type Operand = { resident: GPUBuffer } | { values: () => Float32Array | Uint32Array };

export interface Operands {
  input: Operand;
  /** Null for self-attention. */
  context: Operand | null;
  mask: Operand | null;
}

/** The result of a call: an array, or a buffer that belongs to the caller. */
export type Result = { values: Float32Array } | { storage: GpuBuffer };

export const isResident = (operand: Operand): operand is { resident: GPUBuffer } => 'resident' in operand;

export const elementsOf = ({ batch, tokens, channels }: TokenLayout): number => batch * tokens * channels;

/** Returns the buffer of an operand: its own, or the scratch buffer `name`, which `uploadOperand` fills. */
export function operandBuffer(scratch: Scratch, name: string, operand: Operand, elements: number): GPUBuffer {
  return isResident(operand) ? operand.resident : scratch.take(name, 4 * elements);
}

/**
 * Copies `count` elements of an operand from `first` on to the scratch buffer `name`. Does nothing if it is
 * resident.
 */
export function uploadOperand(
  device: Device,
  scratch: Scratch,
  name: string,
  operand: Operand | null,
  first = 0,
  count = Infinity,
): void {
  if (operand === null || isResident(operand)) return;
  const values = operand.values();
  const slice = values.subarray(first, Math.min(values.length, first + count));
  device.upload(scratch.take(name, slice.byteLength), 0, slice);
}
