// A context that is constant over many runs. Plain: its keys and values are stored. Folded: K·Wq and Wo·V are
// stored, so that scores = (K·Wq)·x and out = (Wo·V)·P; this is less work unless heads · keys exceeds about
// queryDim.
// Based on: DeepSeek-AI, DeepSeek-V2 (2024), section 2.1.2, which absorbs projections of keys and values
// likewise.
import {
  type Attention,
  fromToken,
  recordAttention,
  recordSoftmax,
  scoresMatrix,
  tokensPerChunk,
} from './attention';
import { type CallSizes, channelsByTokens } from './call';
import { attentionOf, headMatrix, padded, recordOutput, recordProjection } from './forward';
import { recordHeadNorm } from './head_norm';
import { type Matrix, transposed } from './matrix';
import type { GpuBuffer } from './memory';
import { type Recording, recordProduct } from './recording';
import { Shared } from './shared';
import type { LayerSizes } from '../package/accelerator';
import { innerDim, type Weights } from './weights';

export type Association = 'plain' | 'folded';

export class PreparedContext extends Shared {
  readonly association: Association;
  /** Folded: K·Wq [heads · keys × queryDim] of each context row. Plain: keys, channels first. */
  readonly key: GpuBuffer;
  /** Folded: Wo·V [outputDim × heads · keys] of each context row. Plain: values, channels first. */
  readonly value: GpuBuffer;
  /** The weights that a run needs. */
  readonly weights: Weights;

  /** Becomes the owner of both buffers, of preparedBytes each, and an owner of the weights. */
  constructor(association: Association, key: GpuBuffer, value: GpuBuffer, weights: Weights) {
    super();
    this.association = association;
    this.key = key;
    this.value = value;
    this.weights = weights.share();
  }

  protected override free(): void {
    for (const part of [this.key, this.value, this.weights]) part.release();
  }
}

/** Returns bytes that suffice for the prepared keys, and for the values. */
export function preparedBytes(sizes: LayerSizes, { context }: CallSizes, association: Association): number {
  const { queryDim, outputDim, numHeads } = sizes;
  const channels = association === 'folded' ? numHeads * Math.max(queryDim, outputDim) : innerDim(sizes);
  return 4 * context.batch * channels * padded(context.tokens);
}

/** Records the computation of a prepared context's buffers. */
export function recordContext(
  recording: Recording,
  { association, key, value, weights }: PreparedContext,
  call: CallSizes,
  context: GPUBuffer,
): void {
  const { recorder, scratch, sizes } = recording;
  const { queryDim, contextDim, outputDim, numHeads, headDim } = sizes;
  const { tokens, batch } = call.context;
  const keys = padded(tokens);
  weights.pack(recorder);
  const isFolded = association === 'folded';
  const source = channelsByTokens(call.context, context);
  const layout = { tokens, batch, channels: contextDim, paddedTokens: keys };
  const keyBytes = 4 * batch * innerDim(sizes) * keys;
  const project = (name: 'key' | 'value', prepared: GpuBuffer): GPUBuffer => {
    const target = isFolded ? scratch.take(name, keyBytes) : prepared.buffer;
    recordProjection(recording, weights.matrix(name), weights.vector(`${name}Bias`), source, layout, target);
    return target;
  };
  const projectedKeys = project('key', key);
  recordHeadNorm(recording, weights, 'key', projectedKeys, layout);
  const keyChannels = headMatrix(projectedKeys, sizes, keys, batch);
  const valueChannels = headMatrix(project('value', value), sizes, keys, batch);
  if (!isFolded) return;
  const productSizes = { outer: batch, inner: numHeads, depth: headDim };
  recordProduct(recording, {
    ...productSizes,
    a: transposed(keyChannels),
    b: { ...weights.matrix('query'), inner: headDim * queryDim },
    c: foldedKeys(key.buffer, sizes, keys),
    rows: keys,
    columns: queryDim,
  });
  recordProduct(recording, {
    ...productSizes,
    a: { ...weights.matrix('output'), inner: headDim },
    b: valueChannels,
    c: foldedValues(value.buffer, sizes, keys),
    rows: outputDim,
    columns: keys,
  });
}

/** Returns K·Wq as matrices [keys × queryDim] of each context row and head. */
function foldedKeys(buffer: GPUBuffer, { queryDim, numHeads }: LayerSizes, keys: number): Matrix {
  const inner = keys * queryDim;
  return {
    binding: { buffer },
    offset: 0,
    rowStride: queryDim,
    columnStride: 1,
    outer: numHeads * inner,
    inner,
  };
}

/**
 * Returns Wo·V as matrices [outputDim × keys] of each context row and head; the heads of a row are
 * interleaved.
 */
function foldedValues(buffer: GPUBuffer, { outputDim, numHeads }: LayerSizes, keys: number): Matrix {
  const stride = numHeads * keys;
  return {
    binding: { buffer },
    offset: 0,
    rowStride: stride,
    columnStride: 1,
    outer: outputDim * stride,
    inner: keys,
  };
}

/** Records a run of all batch rows with a prepared context. */
export function recordRun(
  recording: Recording,
  call: CallSizes,
  prepared: PreparedContext,
  buffers: { input: GPUBuffer; mask: GPUBuffer | null; output: GPUBuffer },
): void {
  const { scratch, sizes } = recording;
  const { input } = call;
  const { batch, tokens } = input;
  const { weights } = prepared;
  const isFolded = prepared.association === 'folded';
  const tokenBytes = 4 * batch * tokens * innerDim(sizes);
  const key = prepared.key.buffer;
  const value = prepared.value.buffer;
  // A folded run has no query; recordFolded reads the input instead.
  const query = isFolded ? key : scratch.take('query', tokenBytes);
  const { mask } = buffers;
  const attention = attentionOf(sizes, call, { first: 0, count: batch }, { query, key, value, mask });
  const inputTokens = channelsByTokens(input, buffers.input);
  const output = channelsByTokens(call.output, buffers.output);
  if (isFolded) {
    recordFolded(recording, attention, prepared, inputTokens, output);
    return;
  }
  const layout = { ...input, paddedTokens: tokens };
  const bias = weights.vector('queryBias');
  recordProjection(recording, weights.matrix('query'), bias, inputTokens, layout, query);
  recordHeadNorm(recording, weights, 'query', query, layout);
  const attended = headMatrix(scratch.take('attended', tokenBytes), sizes, tokens, batch);
  recordAttention(recording, attention, attended, null);
  recordOutput(recording, weights.matrix('output'), weights.vector('bias'), attended, output, batch, tokens);
}

function recordFolded(
  recording: Recording,
  attention: Attention,
  { key, value, weights }: PreparedContext,
  input: Matrix,
  output: Matrix,
): void {
  const { device, scratch, sizes } = recording;
  const { batch, heads, tokens, paddedKeys } = attention;
  const { queryDim, outputDim } = sizes;
  const bias = weights.vector('bias');
  const sharesKeys = attention.key.outer === 0;
  const ofContextRows = (matrix: Matrix): Matrix => ({
    ...matrix,
    outer: sharesKeys ? 0 : matrix.outer,
    inner: 0,
  });
  const maxCount = tokensPerChunk(device, attention);
  const buffer = scratch.take('scores', 4 * batch * heads * paddedKeys * maxCount);
  for (let first = 0; first < tokens; first += maxCount) {
    const count = Math.min(maxCount, tokens - first);
    const scores = scoresMatrix(buffer, attention, count);
    const allHeads = { ...scores, inner: 0 };
    const productSizes = { columns: count, outer: batch, inner: 1 };
    recordProduct(recording, {
      ...productSizes,
      a: ofContextRows(foldedKeys(key.buffer, sizes, paddedKeys)),
      b: fromToken(input, first),
      c: allHeads,
      rows: heads * paddedKeys,
      depth: queryDim,
    });
    recordSoftmax(recording, attention, scores, first, count, null);
    recordProduct(recording, {
      ...productSizes,
      a: ofContextRows(foldedValues(value.buffer, sizes, paddedKeys)),
      b: allHeads,
      c: fromToken(output, first),
      rows: outputDim,
      depth: heads * paddedKeys,
      ...(bias && { bias: { binding: bias, along: 'rows' } }),
    });
  }
}
