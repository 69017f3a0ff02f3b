// Commands of the layer's forward pass: projections, attention, output projection, for some batch rows at a
// time.
import { type Attention, recordAttention } from './attention';
import { type BatchRows, type CallSizes, channelsByTokens, type TokenLayout } from './call';
import type { Device } from './device';
import { recordHeadNorm } from './head_norm';
import { type GroupSums, recordGroupSums } from './group_sums';
import type { Matrix } from './matrix';
import { type Recording, recordProduct } from './recording';
import type { Binding } from './recorder';
import type { LayerSizes } from '../package/accelerator';
import { recordVisibleRows } from './visible_rows';
import { innerDim, type LayerWeights } from './weights';

/** The inputs of a call in GPU memory. */
export interface InputBuffers {
  input: GPUBuffer;
  /** Null for self-attention. */
  context: GPUBuffer | null;
  mask: GPUBuffer | null;
}

export interface CallBuffers extends InputBuffers {
  output: GPUBuffer;
}

/** Rounds a number of keys up to the multiple of 4 that vectors require. */
export const padded = (length: number): number => Math.ceil(length / 4) * 4;

/** Returns a channels-first buffer as matrices [headDim × tokens] of each batch row and head. */
export function headMatrix(buffer: GPUBuffer, sizes: LayerSizes, tokens: number, batch: number): Matrix {
  return {
    binding: { buffer },
    offset: 0,
    rowStride: tokens,
    columnStride: 1,
    outer: batch === 1 ? 0 : innerDim(sizes) * tokens,
    inner: sizes.headDim * tokens,
  };
}

/** Returns some batch rows of a tensor, with a binding of only those rows: bindings have a max size. */
export function rowsOf(
  device: Device,
  layout: TokenLayout,
  buffer: GPUBuffer,
  { first, count }: BatchRows,
): Matrix {
  const rowElements = layout.tokens * layout.channels;
  const alignment = device.gpu.limits.minStorageBufferOffsetAlignment;
  const begin = 4 * first * rowElements;
  const offset = Math.floor(begin / alignment) * alignment;
  const size = Math.max(16, Math.ceil((begin - offset + 4 * count * rowElements) / 16) * 16);
  const matrix = channelsByTokens(layout, buffer, (begin - offset) / 4);
  return { ...matrix, binding: { buffer, offset, size: Math.min(size, buffer.size - offset) } };
}

/** What a training forward stores for the backward pass, in buffers of the caller. */
export interface Saved {
  query: GPUBuffer;
  key: GPUBuffer;
  value: GPUBuffer;
  attended: GPUBuffer;
  logSumExp: GPUBuffer;
}

/** Returns the attention of some batch rows between the buffers of its projections. */
export function attentionOf(
  sizes: LayerSizes,
  call: CallSizes,
  rows: BatchRows,
  buffers: { query: GPUBuffer; key: GPUBuffer; value: GPUBuffer; mask: GPUBuffer | null },
): Attention {
  const { input, context, mask } = call;
  const keys = context.tokens;
  const keyBatch = context.batch === 1 ? 1 : rows.count;
  const keyMatrix = (buffer: GPUBuffer): Matrix => headMatrix(buffer, sizes, padded(keys), keyBatch);
  return {
    batch: rows.count,
    heads: sizes.numHeads,
    headDim: sizes.headDim,
    tokens: input.tokens,
    keys,
    paddedKeys: padded(keys),
    scale: sizes.scale,
    query: headMatrix(buffers.query, sizes, input.tokens, rows.count),
    key: keyMatrix(buffers.key),
    value: keyMatrix(buffers.value),
    mask: { ...mask, offset: rows.first * mask.outer },
    maskBuffer: buffers.mask,
  };
}

/**
 * Records q, k or v = weight · tokens + bias, channels first. Columns from `tokens` to `paddedTokens` become
 * finite numbers that have no effect.
 */
export function recordProjection(
  recording: Recording,
  weight: Matrix,
  bias: Binding | null,
  tokens: Matrix,
  layout: { tokens: number; batch: number; channels: number; paddedTokens: number },
  target: GPUBuffer,
): void {
  const { recorder, sizes } = recording;
  // If the channels of a token are contiguous, the product reads the last token again for the padding.
  // Otherwise the padding is filled with zeros.
  const repeatsTokens = tokens.rowStride === 1 && layout.tokens > 0;
  if (layout.paddedTokens !== layout.tokens && !repeatsTokens) recorder.clear(target);
  recordProduct(recording, {
    a: weight,
    b: tokens,
    c: { ...headMatrix(target, sizes, layout.paddedTokens, layout.batch), inner: 0 },
    rows: innerDim(sizes),
    columns: repeatsTokens ? layout.paddedTokens : layout.tokens,
    columnsOfB: layout.tokens,
    depth: layout.channels,
    outer: layout.batch,
    inner: 1,
    ...(bias && { bias: { binding: bias, along: 'rows' } }),
  });
}

/** Records out = Wo·attended + bo. */
export function recordOutput(
  recording: Recording,
  weight: Matrix,
  bias: Binding | null,
  attended: Matrix,
  output: Matrix,
  batch: number,
  tokens: number,
): void {
  const { sizes } = recording;
  recordProduct(recording, {
    a: weight,
    b: { ...attended, inner: 0 },
    c: output,
    rows: sizes.outputDim,
    columns: tokens,
    depth: innerDim(sizes),
    outer: batch,
    inner: 1,
    ...(bias && { bias: { binding: bias, along: 'rows' } }),
  });
}

/** Returns the context of some batch rows without the rows that the mask hides. `source`: the given one. */
export function visibleSource(
  recording: Recording,
  { input, context, mask }: CallSizes,
  { first, count }: BatchRows,
  source: Matrix,
  maskBuffer: GPUBuffer | null,
): Matrix {
  return recordVisibleRows(recording, {
    source,
    layout: context,
    contextRows: context.batch === 1 ? 1 : count,
    mask: { ...mask, offset: first * mask.outer },
    maskBuffer,
    batch: count,
    heads: recording.sizes.numHeads,
    tokens: input.tokens,
  });
}

/**
 * Records the forward pass of some batch rows. `firsts` are the batch rows of each buffer at which they
 * start. `recorded`: the sums of a recorded call.
 */
export function recordForward(
  recording: Recording,
  weights: LayerWeights,
  call: CallSizes,
  rows: BatchRows,
  firsts: { input: number; context: number; output: number },
  buffers: CallBuffers,
  saved: Saved | null,
  recorded: GroupSums | null = null,
): void {
  const { device, recorder, scratch, sizes } = recording;
  weights.pack(recorder);
  const { input, context, isSelfAttention } = call;
  const inner = innerDim(sizes);
  const keys = context.tokens;
  const keyBatch = context.batch === 1 ? 1 : rows.count;
  const tokenBytes = 4 * inner * input.tokens * rows.count;
  const keyBytes = 4 * inner * padded(keys) * keyBatch;
  const query = saved?.query ?? scratch.take('query', tokenBytes);
  const key = saved?.key ?? scratch.take('key', keyBytes);
  const value = saved?.value ?? scratch.take('value', keyBytes);
  const attended = saved?.attended ?? scratch.take('attended', tokenBytes);

  const inputTokens = rowsOf(device, input, buffers.input, { first: firsts.input, count: rows.count });
  const given = isSelfAttention
    ? inputTokens
    : rowsOf(device, context, buffers.context!, { first: firsts.context, count: keyBatch });
  const source = visibleSource(recording, call, rows, given, buffers.mask);
  const queryLayout = { ...input, batch: rows.count, paddedTokens: input.tokens };
  const keyLayout = { ...context, batch: keyBatch, paddedTokens: padded(keys) };
  recordProjection(
    recording,
    weights.matrix('query'),
    weights.vector('queryBias'),
    inputTokens,
    queryLayout,
    query,
  );
  recordHeadNorm(recording, weights, 'query', query, queryLayout);
  recordProjection(recording, weights.matrix('key'), weights.vector('keyBias'), source, keyLayout, key);
  recordHeadNorm(recording, weights, 'key', key, keyLayout);
  recordProjection(recording, weights.matrix('value'), weights.vector('valueBias'), source, keyLayout, value);
  const attention = attentionOf(sizes, call, rows, { query, key, value, mask: buffers.mask });
  const output = headMatrix(attended, sizes, input.tokens, rows.count);
  recordAttention(recording, attention, output, saved?.logSumExp ?? recorded?.logSumExp ?? null);
  if (recorded) recordGroupSums(recording, attention, recorded);
  const target = rowsOf(device, call.output, buffers.output, { first: firsts.output, count: rows.count });
  recordOutput(
    recording,
    weights.matrix('output'),
    weights.vector('bias'),
    output,
    target,
    rows.count,
    input.tokens,
  );
}
