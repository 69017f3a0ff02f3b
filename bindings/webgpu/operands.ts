// Tensors of a call, in GPU memory or on their way there.
import type { TokenLayout } from './call';
import type { Device } from './device';
import type { GpuBuffer } from './memory';
import type { Scratch } from './scratch';

/** A tensor of a call: in GPU memory, or numbers that are uploaded when their turn comes. */
export type Operand = { resident: GPUBuffer } | { values: () => Float32Array | Uint32Array };

export interface Operands {
  input: Operand;
  /** Null for self-attention. */
  context: Operand | null;
  mask: Operand | null;
}

/** Where the result is wanted: numbers, or a buffer that the caller owns. */
export type Result = { values: Float32Array } | { storage: GpuBuffer };

export const isResident = (operand: Operand): operand is { resident: GPUBuffer } => 'resident' in operand;

export const elementsOf = ({ batch, tokens, channels }: TokenLayout): number => batch * tokens * channels;

/** Where kernels find an operand: its own buffer, or scratch of that name, which `uploadOperand` fills. */
export function placeOf(scratch: Scratch, name: string, operand: Operand, elements: number): GPUBuffer {
  return isResident(operand) ? operand.resident : scratch.take(name, 4 * elements);
}

/** Elements of an operand, from `first` on, into the scratch of its name. */
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
  const part = values.subarray(first, Math.min(values.length, first + count));
  device.upload(scratch.take(name, part.byteLength), 0, part);
}
