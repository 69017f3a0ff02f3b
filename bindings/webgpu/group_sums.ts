// What a recorded call adds to its forward pass: see AttentionRecorder.
import { type Attention, maskNumbers } from './attention';
import type { BatchRows } from './call';
import { groupSumsKernel, groupSumsWorkgroup } from './kernels/group_sums';
import type { Recording } from './recording';

/** The keys of each group, and the batch rows that are recorded: from `firstRow` on. */
export interface Recorded {
  readonly groups: readonly (readonly number[])[];
  readonly firstRow: number;
}

/** The sums of some batch rows, in buffers of the caller. */
export interface GroupSums {
  readonly groups: number;
  /** Of the rows that are computed together. */
  readonly firstRow: number;
  readonly rows: number;
  readonly logSumExp: GPUBuffer;
  readonly keys: GPUBuffer;
  readonly sums: GPUBuffer;
}

/** Returns the keys as kernels/group_sums.wgsl reads them. */
export function packKeys({ groups }: Recorded): Uint32Array {
  let position = groups.length + 1;
  const positions = [position, ...groups.map((group) => (position += group.length))];
  return Uint32Array.from([...positions, ...groups.flat()]);
}

/** Returns which of the rows that are computed together are recorded. */
export function recordedRows({ firstRow }: Recorded, { first, count }: BatchRows): BatchRows {
  const begin = Math.min(count, Math.max(0, firstRow - first));
  return { first: begin, count: count - begin };
}

/** Records the sums of an attention whose log-sum-exp is stored. */
export function recordGroupSums({ recorder }: Recording, attention: Attention, target: GroupSums): void {
  const { heads, headDim, tokens, scale, query, key, mask, maskBuffer } = attention;
  const numbers = [tokens, headDim, heads, target.groups, target.firstRow];
  for (const { rowStride, outer, inner } of [query, key]) numbers.push(rowStride, outer, inner);
  numbers.push(scale);
  recorder.dispatch(
    groupSumsKernel(mask.kind),
    [...numbers, ...maskNumbers(attention)],
    [numbers.length - 1],
    [
      query.binding,
      key.binding,
      maskBuffer && { buffer: maskBuffer },
      { buffer: target.logSumExp },
      { buffer: target.keys },
      { buffer: target.sums },
    ],
    [Math.ceil(tokens / groupSumsWorkgroup), target.rows, target.groups],
  );
}
