// Commands of the layer's backward pass. Scores are recomputed for a chunk of the tokens at a time;
// everything else is products.
// Based on: Dao et al., FlashAttention (2022), algorithm 4.
import {
  type Attention,
  fromToken,
  maskNumbers,
  scoreNumbers,
  scoresMatrix,
  tokensPerChunk,
} from './attention';
import { type CallSizes, channelsByTokens } from './call';
import { attentionOf, headMatrix, type InputBuffers, padded, type Saved, visibleSource } from './forward';
import { channelSumsKernel } from './kernels/channel_sums';
import { deltaKernel, softmaxGradientKernel, softmaxWorkgroup } from './kernels/softmax';
import { type Matrix, type Product, transposed } from './matrix';
import { type Recording, recordProduct } from './recording';
import type { Binding } from './recorder';
import { sumTokens } from './token_sums';
import { type BiasName, innerDim, type LayerWeights, type ParameterName } from './weights';

export interface GradientBuffers {
  outputGradient: GPUBuffer;
  inputGradient: GPUBuffer;
  /** Null for self-attention. */
  contextGradient: GPUBuffer | null;
  /** Of the parameters that the layer has. */
  parameters: Partial<Record<ParameterName, Binding>>;
}

/** Records all gradients of a training forward. `saved` is what that forward stored. */
export function recordBackward(
  recording: Recording,
  weights: LayerWeights,
  call: CallSizes,
  inputs: InputBuffers,
  saved: Saved,
  gradients: GradientBuffers,
): void {
  const { device, recorder, scratch, sizes } = recording;
  const { input, context, isSelfAttention } = call;
  const { queryDim, outputDim, numHeads } = sizes;
  const inner = innerDim(sizes);
  const { batch, tokens } = input;
  const keyBatch = context.batch;
  const keys = padded(context.tokens);
  const tokenBytes = 4 * inner * tokens * batch;
  const keyBytes = 4 * inner * keys * keyBatch;
  const multiply = (product: Product): void => recordProduct(recording, product);

  const outputGradient = channelsByTokens(call.output, gradients.outputGradient);
  const attended = headMatrix(saved.attended, sizes, tokens, batch);
  const attendedGradient = headMatrix(scratch.take('attended gradient', tokenBytes), sizes, tokens, batch);
  const delta = scratch.take('delta', 4 * batch * numHeads * tokens);
  const queryGradient = headMatrix(scratch.take('query gradient', tokenBytes), sizes, tokens, batch);
  const keyGradient = headMatrix(scratch.take('key gradient', keyBytes), sizes, keys, keyBatch);
  const valueGradient = headMatrix(scratch.take('value gradient', keyBytes), sizes, keys, keyBatch);

  /** Records the gradient of a weight: Σ over batch rows of left · right. */
  const recordWeightGradient = (
    left: Matrix,
    right: Matrix,
    target: Binding,
    channels: number,
    columns: number,
    depth: number,
    rows: number,
  ): void => {
    const size = channels * columns;
    const partial = partialSums(recording, rows, size);
    const step = partial === null ? 1 : rows;
    for (let row = 0; row < rows; row += step) {
      multiply({
        a: { ...left, offset: left.offset + row * left.outer, inner: 0 },
        b: { ...right, offset: right.offset + row * right.outer, inner: 0 },
        c: {
          binding: partial ?? target,
          offset: 0,
          rowStride: columns,
          columnStride: 1,
          outer: size,
          inner: 0,
        },
        rows: channels,
        columns,
        depth,
        outer: step,
        inner: 1,
        accumulates: row > 0,
      });
    }
    if (partial === null) return;
    const sums = { outer: 1, tokens: rows, features: size, values: partial };
    sumTokens(recorder, { ...sums, target: { binding: target, adds: false } });
  };

  /** Records the gradient of a bias, if the layer has it: the sums over `columns` tokens of each channel. */
  const recordBiasGradient = (
    name: BiasName,
    { binding, rowStride, columnStride, outer }: Matrix,
    channels: number,
    columns: number,
    rows: number,
  ): void => {
    const target = gradients.parameters[name];
    if (target === undefined) return;
    const numbers = [channels, columns, rows, rowStride, columnStride, outer];
    recorder.dispatch(
      channelSumsKernel(device.hasSubgroups),
      numbers,
      [],
      [binding, target],
      [channels, 1, 1],
    );
  };

  // out = Wo·attended + bo
  recordBiasGradient('bias', outputGradient, outputDim, tokens, batch);
  recordWeightGradient(
    outputGradient,
    transposed(attended),
    gradients.parameters.output!,
    outputDim,
    inner,
    tokens,
    batch,
  );
  multiply({
    a: transposed(weights.matrix('output')),
    b: outputGradient,
    c: { ...attendedGradient, inner: 0 },
    rows: inner,
    columns: tokens,
    depth: outputDim,
    outer: batch,
    inner: 1,
  });

  const attention = attentionOf(sizes, call, { first: 0, count: batch }, { ...saved, mask: inputs.mask });
  recordDelta(recording, attended, attendedGradient, delta, batch, tokens);
  recordAttentionGradients(recording, attention, saved.logSumExp, delta, {
    attended: attendedGradient,
    query: queryGradient,
    key: keyGradient,
    value: valueGradient,
  });

  // q = Wq·x + bq, k = Wk·c + bk, v = Wv·c + bv. All scores of a token change by the same number with bk,
  // which softmax ignores.
  recordBiasGradient('queryBias', queryGradient, inner, tokens, batch);
  recordBiasGradient('valueBias', valueGradient, inner, context.tokens, keyBatch);
  if (gradients.parameters.keyBias !== undefined) recorder.clear(gradients.parameters.keyBias.buffer);
  const inputTokens = channelsByTokens(input, inputs.input);
  const inputGradient = channelsByTokens(input, gradients.inputGradient);
  const source = visibleSource(
    recording,
    call,
    { first: 0, count: batch },
    isSelfAttention ? inputTokens : channelsByTokens(context, inputs.context!),
    inputs.mask,
  );
  const sourceGradient = isSelfAttention
    ? inputGradient
    : channelsByTokens(context, gradients.contextGradient!);
  recordWeightGradient(
    queryGradient,
    transposed(inputTokens),
    gradients.parameters.query!,
    inner,
    queryDim,
    tokens,
    batch,
  );
  const { contextDim } = sizes;
  recordWeightGradient(
    keyGradient,
    transposed(source),
    gradients.parameters.key!,
    inner,
    contextDim,
    context.tokens,
    keyBatch,
  );
  recordWeightGradient(
    valueGradient,
    transposed(source),
    gradients.parameters.value!,
    inner,
    contextDim,
    context.tokens,
    keyBatch,
  );
  const toSource = (
    name: 'query' | 'key' | 'value',
    from: Matrix,
    target: Matrix,
    accumulates: boolean,
  ): void => {
    const isQuery = name === 'query';
    multiply({
      a: transposed(weights.matrix(name)),
      b: { ...from, inner: 0 },
      c: target,
      rows: isQuery ? queryDim : contextDim,
      columns: isQuery ? tokens : context.tokens,
      depth: inner,
      outer: isQuery ? batch : keyBatch,
      inner: 1,
      accumulates,
    });
  };
  toSource('query', queryGradient, inputGradient, false);
  toSource('key', keyGradient, sourceGradient, isSelfAttention);
  toSource('value', valueGradient, sourceGradient, true);
}

/** Max bytes of partial sums in memory at a time. */
const maxPartialBytes = 64 * 2 ** 20;
/** With fewer batch rows, adding them one after another is not slower. */
const minPartialRows = 4;

/**
 * Returns scratch memory for one term of a sum for each batch row, so that the device computes the terms in
 * parallel; null if there are few terms or they are too large.
 */
function partialSums({ device, scratch }: Recording, rows: number, size: number): Binding | null {
  const maxBytes = Math.min(maxPartialBytes, device.gpu.limits.maxStorageBufferBindingSize);
  const bytes = 4 * rows * size;
  if (rows < minPartialRows || bytes > maxBytes) return null;
  return { buffer: scratch.take('partial sums', bytes) };
}

/** Records delta, which the gradient of softmax needs: Σ over channels of attended ∘ d(attended). */
function recordDelta(
  { recorder, sizes: { numHeads, headDim } }: Recording,
  attended: Matrix,
  gradient: Matrix,
  delta: GPUBuffer,
  batch: number,
  tokens: number,
): void {
  recorder.dispatch(
    deltaKernel(),
    [tokens, headDim, tokens, headDim * tokens, tokens],
    [],
    [attended.binding, gradient.binding, { buffer: delta }],
    [Math.ceil(tokens / softmaxWorkgroup), batch * numHeads, 1],
  );
}

/** Records dq, dk and dv of all heads from d(attended). */
function recordAttentionGradients(
  recording: Recording,
  attention: Attention,
  logSumExp: GPUBuffer,
  delta: GPUBuffer,
  gradients: { attended: Matrix; query: Matrix; key: Matrix; value: Matrix },
): void {
  const { batch, heads, headDim, tokens, paddedKeys, query, key, value, mask, maskBuffer } = attention;
  const { device, recorder, scratch } = recording;
  const maxCount = tokensPerChunk(device, attention);
  const bytes = 4 * batch * heads * paddedKeys * maxCount;
  const [scoresBuffer, gradientsBuffer] = ['scores', 'score gradients'].map((name) =>
    scratch.take(name, bytes),
  );
  const sharesKeys = key.outer === 0 && batch > 1;

  for (let first = 0; first < tokens; first += maxCount) {
    const count = Math.min(maxCount, tokens - first);
    const scores = scoresMatrix(scoresBuffer!, attention, count);
    const scoreGradients = scoresMatrix(gradientsBuffer!, attention, count);
    const chunkOf = (matrix: Matrix): Matrix => fromToken(matrix, first);
    const scoreSizes = { rows: paddedKeys, columns: count, depth: headDim, outer: batch, inner: heads };
    recordProduct(recording, { ...scoreSizes, a: transposed(key), b: chunkOf(query), c: scores });
    recordProduct(recording, {
      ...scoreSizes,
      a: transposed(value),
      b: chunkOf(gradients.attended),
      c: scoreGradients,
    });
    const numbers = scoreNumbers(attention, scores, first, count);
    recorder.dispatch(
      softmaxGradientKernel(mask.kind),
      [...numbers, ...maskNumbers(attention)],
      [numbers.length - 1],
      [
        scores.binding,
        maskBuffer && { buffer: maskBuffer },
        scoreGradients.binding,
        { buffer: logSumExp },
        { buffer: delta },
      ],
      [Math.ceil(count / softmaxWorkgroup), paddedKeys, batch * heads],
    );
    recordProduct(recording, {
      a: key,
      b: scoreGradients,
      c: chunkOf(gradients.query),
      rows: headDim,
      columns: count,
      depth: paddedKeys,
      outer: batch,
      inner: heads,
    });
    // If all batch rows share the keys, the gradients are added, one batch row after another.
    for (let row = 0; row < (sharesKeys ? batch : 1); ++row) {
      const rowOf = (matrix: Matrix): Matrix => ({ ...matrix, offset: matrix.offset + row * matrix.outer });
      const keySizes = {
        rows: headDim,
        columns: paddedKeys,
        depth: count,
        outer: sharesKeys ? 1 : batch,
        inner: heads,
        accumulates: first > 0 || row > 0,
      };
      recordProduct(recording, {
        ...keySizes,
        a: rowOf(chunkOf(gradients.attended)),
        b: transposed(rowOf(scores)),
        c: gradients.value,
      });
      recordProduct(recording, {
        ...keySizes,
        a: rowOf(chunkOf(query)),
        b: transposed(rowOf(scoreGradients)),
        c: gradients.key,
      });
    }
  }
}
