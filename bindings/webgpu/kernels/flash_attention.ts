// Flash attention, forward (flash_attention.wgsl).
import flash from './flash_attention.wgsl';
import type { Kernel } from './kernel';
import mask from './mask.wgsl';
import type { MaskKind } from './mask';
import { expandTemplate } from './template';

export interface FlashKernel {
  /** A multiple of 4. */
  headDim: number;
  mask: MaskKind;
  storesLogSumExp: boolean;
}

const columns = 16;
const blockKeys = 32;
const stageChannels = 16;
const valueKeys = 8;

/** Tokens of a workgroup, four for each column of invocations. */
export const flashTokens = 4 * columns;

const rowsFor = (headDim: number): number => (headDim > 80 ? 8 : 4);

/** Bytes of workgroup memory. */
export function flashWorkgroupBytes(headDim: number): number {
  const stage = Math.max(stageChannels * (flashTokens + blockKeys), valueKeys * headDim);
  return 4 * (stage + blockKeys * flashTokens);
}
export const flashInvocations = (headDim: number): number => columns * rowsFor(headDim);

/** True if the kernel supports these sizes; padded keys are multiples of 4, too. */
export const flashSupports = (headDim: number, tokens: number): boolean =>
  headDim % 4 === 0 && headDim <= 256 && tokens % 4 === 0;

/**
 * Bindings: parameters, query, key, value, output, mask (if any), logSumExp (if stored). Workgroups: tokens,
 * outer · inner.
 */
export function flashKernel({ headDim, mask: kind, storesLogSumExp }: FlashKernel): Kernel {
  const rows = rowsFor(headDim);
  const values = {
    keyFours: blockKeys / rows / 4,
    outputFours: Math.ceil(headDim / 4 / rows),
    mask: kind,
    maskBinding: 5,
    storesLogSumExp,
  };
  return {
    label: `flash attention, ${headDim} channels, mask ${kind}${storesLogSumExp ? ', logSumExp' : ''}`,
    code: () => expandTemplate(flash + mask, values),
    constants: { headDim, columns, rows, blockKeys, stageChannels, valueKeys },
  };
}
