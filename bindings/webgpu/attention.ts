// Commands of softmax(scale·q·kᵀ + mask)·v for all heads: flash attention if the device has enough workgroup
// memory, else products and a softmax over chunks of the tokens, with the scores of a chunk in memory.
import type { MaskLayout } from './call';
import type { Device } from './device';
import {
  flashInvocations,
  flashKernel,
  flashSupports,
  flashTokens,
  flashWorkgroupBytes,
} from './kernels/flash_attention';
import { softmaxKernel, softmaxWorkgroup } from './kernels/softmax';
import { type Matrix, transposed } from './matrix';
import { type Recording, recordProduct } from './recording';

/** Inputs of an attention. Matrices are [headDim × tokens or keys] of each batch row and head. */
export interface Attention {
  batch: number;
  heads: number;
  headDim: number;
  tokens: number;
  keys: number;
  paddedKeys: number;
  scale: number;
  query: Matrix;
  key: Matrix;
  value: Matrix;
  mask: MaskLayout & { offset: number };
  maskBuffer: GPUBuffer | null;
}

/** Max bytes of scores in memory at a time. */
const maxScoreBytes = 64 * 2 ** 20;
/** Min tokens of a chunk, and their granularity. */
const chunkTokens = 64;

/** Returns the number of tokens of a chunk: all tokens if their scores may be in memory at the same time. */
export function tokensPerChunk(
  device: Device,
  { batch, heads, paddedKeys, tokens }: Pick<Attention, 'batch' | 'heads' | 'paddedKeys' | 'tokens'>,
): number {
  const maxBytes = Math.min(maxScoreBytes, device.gpu.limits.maxStorageBufferBindingSize);
  const fitting = Math.floor(maxBytes / (4 * batch * heads * paddedKeys) / chunkTokens) * chunkTokens;
  return Math.min(tokens, Math.max(fitting, chunkTokens));
}

/** Returns the scores of a chunk of the tokens, [batch · heads][paddedKeys][tokens]. */
export function scoresMatrix(buffer: GPUBuffer, { heads, paddedKeys }: Attention, tokens: number): Matrix {
  const inner = paddedKeys * tokens;
  return { binding: { buffer }, offset: 0, rowStride: tokens, columnStride: 1, outer: heads * inner, inner };
}

/** Returns the columns of a matrix from token `first` on. */
export const fromToken = (matrix: Matrix, first: number): Matrix => ({
  ...matrix,
  offset: matrix.offset + first * matrix.columnStride,
});

/** Returns the parameters of kernels/scores.wgsl before the mask's, for `count` tokens from `first` on. */
export function scoreNumbers(
  { heads, tokens, keys, paddedKeys, scale }: Attention,
  scores: Matrix,
  first: number,
  count: number,
): number[] {
  return [count, keys, paddedKeys, heads, scores.rowStride, scores.inner, first, first, tokens, scale];
}

/** Returns the parameters of kernels/mask.wgsl. */
export const maskNumbers = ({ mask: { offset, outer, inner, token } }: Attention): number[] => [
  offset,
  outer,
  inner,
  token,
];

function supportsFlash(device: Device, { headDim, tokens, query, key }: Attention): boolean {
  const { limits } = device.gpu;
  return (
    flashSupports(headDim, tokens) &&
    query.offset % 4 === 0 &&
    key.offset % 4 === 0 &&
    flashWorkgroupBytes(headDim) <= limits.maxComputeWorkgroupStorageSize &&
    flashInvocations(headDim) <= limits.maxComputeInvocationsPerWorkgroup
  );
}

/**
 * Records the attention. `output` has the query's strides. `logSumExp` [batch · heads][tokens] receives what
 * the backward pass needs, unless it is null.
 */
export function recordAttention(
  recording: Recording,
  attention: Attention,
  output: Matrix,
  logSumExp: GPUBuffer | null,
): void {
  const { device, strategy } = recording;
  const usesFlash = strategy.attention === 'flash' && supportsFlash(device, attention);
  (usesFlash ? recordFlash : recordChunks)(recording, attention, output, logSumExp);
}

function recordFlash(
  { recorder }: Recording,
  attention: Attention,
  output: Matrix,
  logSumExp: GPUBuffer | null,
): void {
  const { batch, heads, headDim, tokens, keys, scale, query, key, value, mask, maskBuffer } = attention;
  const kernel = flashKernel({ headDim, mask: mask.kind, storesLogSumExp: logSumExp !== null });
  const numbers = [tokens, keys, heads];
  for (const { rowStride, outer, inner } of [query, key, output]) numbers.push(rowStride, outer, inner);
  numbers.push(tokens, scale);
  recorder.dispatch(
    kernel,
    [...numbers, ...maskNumbers(attention)],
    [numbers.length - 1],
    [
      query.binding,
      key.binding,
      value.binding,
      output.binding,
      maskBuffer && { buffer: maskBuffer },
      logSumExp && { buffer: logSumExp },
    ],
    [Math.ceil(tokens / flashTokens), batch * heads, 1],
  );
}

function recordChunks(
  recording: Recording,
  attention: Attention,
  output: Matrix,
  logSumExp: GPUBuffer | null,
): void {
  const { batch, heads, headDim, tokens, paddedKeys, query, key, value } = attention;
  const maxCount = tokensPerChunk(recording.device, attention);
  const buffer = recording.scratch.take('scores', 4 * batch * heads * paddedKeys * maxCount);
  for (let first = 0; first < tokens; first += maxCount) {
    const count = Math.min(maxCount, tokens - first);
    const scores = scoresMatrix(buffer, attention, count);
    const sizes = { outer: batch, inner: heads, columns: count };
    recordProduct(recording, {
      ...sizes,
      a: transposed(key),
      b: fromToken(query, first),
      c: scores,
      rows: paddedKeys,
      depth: headDim,
    });
    recordSoftmax(recording, attention, scores, first, count, logSumExp);
    recordProduct(recording, {
      ...sizes,
      a: value,
      b: scores,
      c: fromToken(output, first),
      rows: headDim,
      depth: paddedKeys,
    });
  }
}

/** Records the softmax of the scores of `count` tokens from `first` on, in place. */
export function recordSoftmax(
  { recorder }: Recording,
  attention: Attention,
  scores: Matrix,
  first: number,
  count: number,
  logSumExp: GPUBuffer | null,
): void {
  const { batch, heads, mask, maskBuffer } = attention;
  const numbers = scoreNumbers(attention, scores, first, count);
  recorder.dispatch(
    softmaxKernel({ mask: mask.kind, storesLogSumExp: logSumExp !== null }),
    [...numbers, ...maskNumbers(attention)],
    [numbers.length - 1],
    [scores.binding, maskBuffer && { buffer: maskBuffer }, logSumExp && { buffer: logSumExp }],
    [Math.ceil(count / softmaxWorkgroup), batch * heads, 1],
  );
}
