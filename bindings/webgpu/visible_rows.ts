// Commands that remove context rows that a mask hides.
import type { MaskLayout, TokenLayout } from './call';
import { visibleRowsKernel } from './kernels/visible_rows';
import type { Matrix } from './matrix';
import type { Recording } from './recording';

/** Workgroups in one dimension that every device supports. */
const keysPerLine = 32768;

export interface MaskedRows {
  /** [channels × keys] of each context row. */
  source: Matrix;
  layout: Pick<TokenLayout, 'tokens' | 'channels'>;
  contextRows: number;
  /** Of the call, and how many of its batch rows, heads and tokens there are. */
  mask: MaskLayout & { offset: number };
  maskBuffer: GPUBuffer | null;
  batch: number;
  heads: number;
  tokens: number;
}

/**
 * Returns the context as a call reads it: `source` without a mask, else a copy in which rows are zeros that
 * no token attends to. They may contain NaN.
 */
export function recordVisibleRows(
  { recorder, scratch }: Recording,
  { source, layout, contextRows, mask, maskBuffer, batch, heads, tokens }: MaskedRows,
): Matrix {
  if (mask.kind === 'none') return source;
  const { tokens: keys, channels } = layout;
  const outer = keys * channels;
  const buffer = scratch.take('visible context', 4 * Math.max(1, contextRows * outer));
  const sharers = contextRows === 1 && mask.outer !== 0 ? batch : 1;
  const numbers = [keys, channels, keysPerLine];
  numbers.push(source.offset, source.columnStride, source.rowStride, source.outer, sharers);
  numbers.push(mask.inner === 0 ? 1 : heads, mask.token === 0 ? 1 : tokens);
  numbers.push(mask.offset, mask.outer, mask.inner, mask.token);
  recorder.dispatch(
    visibleRowsKernel(mask.kind),
    numbers,
    [],
    [source.binding, { buffer: maskBuffer! }, { buffer }],
    [Math.min(keys, keysPerLine), Math.ceil(keys / keysPerLine), contextRows],
  );
  return { binding: { buffer }, offset: 0, rowStride: 1, columnStride: channels, outer, inner: 0 };
}
