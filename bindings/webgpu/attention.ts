// softmax(scale·q·kᵀ + mask)·v of all heads, as commands: flash attention where the device has workgroup memory worth the name,
// else the same in parts of the tokens, with the scores of a part in memory.
import type { Device } from './device';
import {
  flashInvocations,
  flashKernel,
  flashTakes,
  flashTokens,
  flashWorkgroupBytes,
} from './kernels/flash_attention';
import { softmaxKernel, softmaxWorkgroup } from './kernels/softmax';
import type { MaskLayout } from './call';
import { type Matrix, transposed } from './matrix';
import { type Recording, recordProduct } from './recording';

/** What an attention of all heads reads. Matrices are [headDim × tokens or keys] of each batch row and head. */
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

/** Bytes of scores that are in memory at a time. */
const partBytes = 64 * 2 ** 20;
const partTokens = 64;

/** Tokens of a part: all of them if their scores may be in memory at once. */
export function tokensOfPart(
  device: Device,
  { batch, heads, paddedKeys, tokens }: Pick<Attention, 'batch' | 'heads' | 'paddedKeys' | 'tokens'>,
): number {
  const most = Math.min(partBytes, device.gpu.limits.maxStorageBufferBindingSize);
  const fits = Math.floor(most / (4 * batch * heads * paddedKeys) / partTokens) * partTokens;
  return Math.min(tokens, Math.max(fits, partTokens));
}

/** Scores of a part of the tokens, [batch · heads][paddedKeys][tokens of the part]. */
export function scoresMatrix(buffer: GPUBuffer, { heads, paddedKeys }: Attention, tokens: number): Matrix {
  const inner = paddedKeys * tokens;
  return { binding: { buffer }, offset: 0, rowStride: tokens, columnStride: 1, outer: heads * inner, inner };
}

/** The columns of a matrix from the token `first` on. */
export const fromToken = (matrix: Matrix, first: number): Matrix => ({
  ...matrix,
  offset: matrix.offset + first * matrix.columnStride,
});

/** scoreParameters of kernels/mask.ts, for a part of the tokens from `first` on. */
export function scoreNumbers(
  { heads, tokens, keys, paddedKeys, scale }: Attention,
  scores: Matrix,
  first: number,
  part: number,
): number[] {
  return [part, keys, paddedKeys, heads, scores.rowStride, scores.inner, first, first, tokens, scale];
}

/** maskParameters of kernels/mask.ts. */
export const maskNumbers = ({ mask: { offset, outer, inner, token } }: Attention): number[] => [
  offset,
  outer,
  inner,
  token,
];

function takesFlash(device: Device, { headDim, tokens, query, key }: Attention): boolean {
  const { limits } = device.gpu;
  return (
    flashTakes(headDim, tokens) &&
    query.offset % 4 === 0 &&
    key.offset % 4 === 0 &&
    flashWorkgroupBytes(headDim) <= limits.maxComputeWorkgroupStorageSize &&
    flashInvocations(headDim) <= limits.maxComputeInvocationsPerWorkgroup
  );
}

/** Records the attention; `output` as query lies. `logSumExp` [batch · heads][tokens]: for the backward, else null. */
export function recordAttention(
  recording: Recording,
  attention: Attention,
  output: Matrix,
  logSumExp: GPUBuffer | null,
): void {
  const { device, strategy } = recording;
  const record = strategy.attention === 'flash' && takesFlash(device, attention) ? recordFlash : recordParts;
  record(recording, attention, output, logSumExp);
}

function recordFlash(
  { recorder }: Recording,
  attention: Attention,
  output: Matrix,
  logSumExp: GPUBuffer | null,
): void {
  const { batch, heads, headDim, tokens, keys, scale, query, key, value, mask, maskBuffer } = attention;
  const kernel = flashKernel({ headDim, mask: mask.kind, keepsLogSumExp: logSumExp !== null });
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

function recordParts(
  recording: Recording,
  attention: Attention,
  output: Matrix,
  logSumExp: GPUBuffer | null,
): void {
  const { batch, heads, headDim, tokens, paddedKeys, query, key, value } = attention;
  const most = tokensOfPart(recording.device, attention);
  const buffer = recording.scratch.take('scores', 4 * batch * heads * paddedKeys * most);
  for (let first = 0; first < tokens; first += most) {
    const part = Math.min(most, tokens - first);
    const scores = scoresMatrix(buffer, attention, part);
    const sizes = { outer: batch, inner: heads, columns: part };
    recordProduct(recording, {
      ...sizes,
      a: transposed(key),
      b: fromToken(query, first),
      c: scores,
      rows: paddedKeys,
      depth: headDim,
    });
    recordSoftmax(recording, attention, scores, first, part, logSumExp);
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

/** Scores become probabilities. */
export function recordSoftmax(
  { recorder }: Recording,
  attention: Attention,
  scores: Matrix,
  first: number,
  part: number,
  logSumExp: GPUBuffer | null,
): void {
  const { batch, heads, mask, maskBuffer } = attention;
  const numbers = scoreNumbers(attention, scores, first, part);
  recorder.dispatch(
    softmaxKernel({ mask: mask.kind, keepsLogSumExp: logSumExp !== null }),
    [...numbers, ...maskNumbers(attention)],
    [numbers.length - 1],
    [scores.binding, maskBuffer && { buffer: maskBuffer }, logSumExp && { buffer: logSumExp }],
    [Math.ceil(part / softmaxWorkgroup), batch * heads, 1],
  );
}
