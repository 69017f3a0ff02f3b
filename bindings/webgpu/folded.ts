// A context that stays the same over many runs. Folded: scores = (K·Wq)·x and out = (Wo·V)·P, with the brackets computed once
// a prompt; less work wherever heads · keys is less than queryDim and a bit. Else its keys and values are kept.
import {
  type Attention,
  fromToken,
  recordAttention,
  recordSoftmax,
  scoresMatrix,
  tokensOfPart,
} from './attention';
import { type CallSizes, channelsByTokens } from './call';
import { attentionOf, headMatrix, padded, recordOutput, recordProjection } from './forward';
import { type Matrix, transposed } from './matrix';
import type { GpuBuffer } from './memory';
import { type Recording, recordProduct } from './recording';
import type { LayerSizes, Weights } from './weights';

export type Association = 'plain' | 'folded';

/** What is kept of a context, with the weights that a run needs. */
export interface KeptContext {
  readonly association: Association;
  /** Folded: K·Wq [heads · keys × queryDim] of each set of keys; plain: keys, channels first. */
  readonly key: GpuBuffer;
  /** Folded: Wo·V [queryDim × heads · keys]; plain: values. */
  readonly value: GpuBuffer;
  readonly weights: Weights;
  share(): KeptContext;
  release(): void;
}

/** FLOPs of a run from input to output, the context being there. */
export function runFlops(
  association: Association,
  { queryDim, numHeads }: LayerSizes,
  { input, context }: CallSizes,
): number {
  const rows = input.batch * input.tokens;
  return association === 'folded'
    ? 4 * rows * queryDim * numHeads * context.tokens
    : 4 * rows * queryDim * (queryDim + context.tokens);
}

const setsOf = ({ context }: CallSizes): number => context.batch;

/** Bytes of kept keys, and of kept values. */
export function keptBytes(
  { queryDim, numHeads }: LayerSizes,
  call: CallSizes,
  association: Association,
): number {
  const ofHead = 4 * setsOf(call) * queryDim * padded(call.context.tokens);
  return association === 'folded' ? numHeads * ofHead : ofHead;
}

/** Takes over the buffers `key` and `value`, of keptBytes each. */
export function recordContext(
  recording: Recording,
  weights: Weights,
  call: CallSizes,
  context: GPUBuffer,
  association: Association,
  key: GpuBuffer,
  value: GpuBuffer,
): KeptContext {
  const { recorder, scratch, sizes } = recording;
  const { queryDim, contextDim, numHeads, headDim } = sizes;
  const sets = setsOf(call);
  const { tokens } = call.context;
  const keys = padded(tokens);
  weights.pack(recorder);
  const isFolded = association === 'folded';
  const source = channelsByTokens(call.context, context);
  const layout = { tokens, batch: sets, channels: contextDim, paddedTokens: keys };
  const keyBytes = 4 * sets * queryDim * keys;
  const plain = (name: 'key' | 'value', kept: GpuBuffer): GPUBuffer => {
    const target = isFolded ? scratch.take(name, keyBytes) : kept.buffer;
    recordProjection(recording, weights.matrix(name), source, layout, target);
    return target;
  };
  const keyChannels = headMatrix(plain('key', key), sizes, keys, sets);
  const valueChannels = headMatrix(plain('value', value), sizes, keys, sets);
  if (isFolded) {
    const sizesOfAll = { outer: sets, inner: numHeads, depth: headDim };
    recordProduct(recording, {
      ...sizesOfAll,
      a: transposed(keyChannels),
      b: { ...weights.matrix('query'), inner: headDim * queryDim },
      c: foldedKeys(key.buffer, sizes, keys),
      rows: keys,
      columns: queryDim,
    });
    recordProduct(recording, {
      ...sizesOfAll,
      a: { ...weights.matrix('output'), inner: headDim },
      b: valueChannels,
      c: foldedValues(value.buffer, sizes, keys),
      rows: queryDim,
      columns: keys,
    });
  }
  const held = weights.share();
  let owners = 1;
  const kept: KeptContext = {
    association,
    key,
    value,
    weights,
    share: () => {
      owners++;
      return kept;
    },
    release: () => {
      if (--owners === 0) for (const part of [key, value, held]) part.release();
    },
  };
  return kept;
}

/** [keys × queryDim] of each set of keys and head. */
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

/** [queryDim × keys] of each set of keys and head: a head's columns beside another's. */
function foldedValues(buffer: GPUBuffer, { queryDim, numHeads }: LayerSizes, keys: number): Matrix {
  const stride = numHeads * keys;
  return {
    binding: { buffer },
    offset: 0,
    rowStride: stride,
    columnStride: 1,
    outer: queryDim * stride,
    inner: keys,
  };
}

/** A run with a kept context; tensors whole, all batch rows at once. */
export function recordRun(
  recording: Recording,
  call: CallSizes,
  kept: KeptContext,
  buffers: { input: GPUBuffer; mask: GPUBuffer | null; output: GPUBuffer },
): void {
  const { scratch, sizes } = recording;
  const { input } = call;
  const { batch, tokens } = input;
  const rows = { first: 0, count: batch };
  const { weights } = kept;
  const query =
    kept.association === 'folded'
      ? kept.key.buffer
      : scratch.take('query', 4 * batch * tokens * sizes.queryDim);
  const attention = attentionOf(sizes, call, rows, {
    query,
    key: kept.key.buffer,
    value: kept.value.buffer,
    mask: buffers.mask,
  });
  const inputTokens = channelsByTokens(input, buffers.input);
  const output = channelsByTokens(input, buffers.output);
  if (kept.association === 'folded') {
    recordFolded(recording, attention, kept, inputTokens, output);
    return;
  }
  const layout = { ...input, paddedTokens: tokens };
  recordProjection(recording, weights.matrix('query'), inputTokens, layout, query);
  const attended = headMatrix(
    scratch.take('attended', 4 * batch * tokens * sizes.queryDim),
    sizes,
    tokens,
    batch,
  );
  recordAttention(recording, attention, attended, null);
  recordOutput(recording, weights.matrix('output'), weights.bias, attended, output, batch, tokens);
}

function recordFolded(
  recording: Recording,
  attention: Attention,
  { key, value, weights }: KeptContext,
  input: Matrix,
  output: Matrix,
): void {
  const { device, scratch, sizes } = recording;
  const { batch, heads, tokens, paddedKeys } = attention;
  const { queryDim } = sizes;
  const sharesKeys = attention.key.outer === 0;
  const ofSets = (matrix: Matrix): Matrix => ({ ...matrix, outer: sharesKeys ? 0 : matrix.outer, inner: 0 });
  const most = tokensOfPart(device, attention);
  const buffer = scratch.take('scores', 4 * batch * heads * paddedKeys * most);
  for (let first = 0; first < tokens; first += most) {
    const part = Math.min(most, tokens - first);
    const scores = scoresMatrix(buffer, attention, part);
    const allHeads = { ...scores, inner: 0 };
    const ofPart = { columns: part, outer: batch, inner: 1 };
    recordProduct(recording, {
      ...ofPart,
      a: ofSets(foldedKeys(key.buffer, sizes, paddedKeys)),
      b: fromToken(input, first),
      c: allHeads,
      rows: heads * paddedKeys,
      depth: queryDim,
    });
    recordSoftmax(recording, attention, scores, first, part, null);
    recordProduct(recording, {
      ...ofPart,
      a: ofSets(foldedValues(value.buffer, sizes, paddedKeys)),
      b: allHeads,
      c: fromToken(output, first),
      rows: queryDim,
      depth: heads * paddedKeys,
      bias: { binding: weights.bias, along: 'rows' },
    });
  }
}
