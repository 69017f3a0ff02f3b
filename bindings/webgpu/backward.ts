// The layer's backward as commands (Dao et al., 2022, algorithm 4). Scores are computed again, a part of the tokens at a time,
// and everything else is a product.
import {
  type Attention,
  fromToken,
  maskNumbers,
  scoreNumbers,
  scoresMatrix,
  tokensOfPart,
} from './attention';
import { type CallSizes, channelsByTokens } from './call';
import { attentionOf, headMatrix, padded, type Saved } from './forward';
import { channelSumsKernel } from './kernels/channel_sums';
import { deltaKernel, softmaxGradientKernel, softmaxGradientWorkgroup } from './kernels/softmax_gradient';
import { type Matrix, type Product, transposed } from './matrix';
import { type Recording, recordProduct } from './recording';
import type { Binding } from './recorder';
import { sumTokens } from './token_sums';
import type { LayerWeights, ParameterName } from './weights';

export interface GradientBuffers {
  outputGradient: GPUBuffer;
  inputGradient: GPUBuffer;
  /** Null for self-attention. */
  contextGradient: GPUBuffer | null;
  parameters: Record<ParameterName, Binding>;
}

export function recordBackward(
  recording: Recording,
  weights: LayerWeights,
  call: CallSizes,
  inputs: { input: GPUBuffer; context: GPUBuffer | null; mask: GPUBuffer | null },
  saved: Saved,
  gradients: GradientBuffers,
): void {
  const { device, recorder, scratch, sizes } = recording;
  const { input, context, isSelfAttention } = call;
  const { queryDim, numHeads } = sizes;
  const { batch, tokens } = input;
  const sets = context.batch;
  const keys = padded(context.tokens);
  const tokenBytes = 4 * queryDim * tokens * batch;
  const keyBytes = 4 * queryDim * keys * sets;
  const times = (product: Product): void => recordProduct(recording, product);

  const outputGradient = channelsByTokens(input, gradients.outputGradient);
  const attended = headMatrix(saved.attended, sizes, tokens, batch);
  const attendedGradient = headMatrix(scratch.take('attended gradient', tokenBytes), sizes, tokens, batch);
  const delta = scratch.take('delta', 4 * batch * numHeads * tokens);
  const queryGradient = headMatrix(scratch.take('query gradient', tokenBytes), sizes, tokens, batch);
  const keyGradient = headMatrix(scratch.take('key gradient', keyBytes), sizes, keys, sets);
  const valueGradient = headMatrix(scratch.take('value gradient', keyBytes), sizes, keys, sets);

  /** Σ over batch rows of left · right: the gradient of a weight. */
  const addUp = (
    left: Matrix,
    right: Matrix,
    target: Binding,
    columns: number,
    depth: number,
    rows: number,
  ): void => {
    const size = queryDim * columns;
    const parts = partialSums(recording, rows, size);
    const atOnce = parts === null ? 1 : rows;
    for (let row = 0; row < rows; row += atOnce) {
      times({
        a: { ...left, offset: left.offset + row * left.outer, inner: 0 },
        b: { ...right, offset: right.offset + row * right.outer, inner: 0 },
        c: {
          binding: parts ?? target,
          offset: 0,
          rowStride: columns,
          columnStride: 1,
          outer: size,
          inner: 0,
        },
        rows: queryDim,
        columns,
        depth,
        outer: atOnce,
        inner: 1,
        accumulates: row > 0,
      });
    }
    if (parts === null) return;
    const sums = { outer: 1, tokens: rows, features: size, values: parts };
    sumTokens(recorder, { ...sums, target: { binding: target, adds: false } });
  };

  // out = Wo·attended + bo
  const { rowStride, columnStride, outer } = outputGradient;
  recorder.dispatch(
    channelSumsKernel(device.hasSubgroups),
    [queryDim, tokens, batch, rowStride, columnStride, outer],
    [],
    [outputGradient.binding, gradients.parameters.bias],
    [queryDim, 1, 1],
  );
  addUp(outputGradient, transposed(attended), gradients.parameters.output, queryDim, tokens, batch);
  times({
    a: transposed(weights.matrix('output')),
    b: outputGradient,
    c: { ...attendedGradient, inner: 0 },
    rows: queryDim,
    columns: tokens,
    depth: queryDim,
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

  // q = Wq·x, k = Wk·c, v = Wv·c
  const inputTokens = channelsByTokens(input, inputs.input);
  const inputGradient = channelsByTokens(input, gradients.inputGradient);
  const source = isSelfAttention ? inputTokens : channelsByTokens(context, inputs.context!);
  const sourceGradient = isSelfAttention
    ? inputGradient
    : channelsByTokens(context, gradients.contextGradient!);
  addUp(queryGradient, transposed(inputTokens), gradients.parameters.query, queryDim, tokens, batch);
  const { contextDim } = sizes;
  addUp(keyGradient, transposed(source), gradients.parameters.key, contextDim, context.tokens, sets);
  addUp(valueGradient, transposed(source), gradients.parameters.value, contextDim, context.tokens, sets);
  const toSource = (
    name: 'query' | 'key' | 'value',
    from: Matrix,
    target: Matrix,
    accumulates: boolean,
  ): void => {
    const isQuery = name === 'query';
    times({
      a: transposed(weights.matrix(name)),
      b: { ...from, inner: 0 },
      c: target,
      rows: isQuery ? queryDim : contextDim,
      columns: isQuery ? tokens : context.tokens,
      depth: queryDim,
      outer: isQuery ? batch : sets,
      inner: 1,
      accumulates,
    });
  };
  toSource('query', queryGradient, inputGradient, false);
  toSource('key', keyGradient, sourceGradient, isSelfAttention);
  toSource('value', valueGradient, sourceGradient, true);
}

/** Bytes of such sums that are in memory at a time, at most. */
const partialBytes = 64 * 2 ** 20;

/**
 * Where each batch row's part of a sum goes, so that a device computes them side by side; null where there are few, or they
 * are large.
 */
function partialSums({ device, scratch }: Recording, rows: number, size: number): Binding | null {
  const most = Math.min(partialBytes, device.gpu.limits.maxStorageBufferBindingSize);
  const bytes = 4 * rows * size;
  return rows < 4 || bytes > most ? null : { buffer: scratch.take('partial sums', bytes) };
}

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
    [Math.ceil(tokens / softmaxGradientWorkgroup), batch * numHeads, 1],
  );
}

/** dq, dk and dv of all heads from d(attended). */
function recordAttentionGradients(
  recording: Recording,
  attention: Attention,
  logSumExp: GPUBuffer,
  delta: GPUBuffer,
  gradients: { attended: Matrix; query: Matrix; key: Matrix; value: Matrix },
): void {
  const { batch, heads, headDim, tokens, paddedKeys, query, key, value, mask, maskBuffer } = attention;
  const { device, recorder, scratch } = recording;
  const most = tokensOfPart(device, attention);
  const bytes = 4 * batch * heads * paddedKeys * most;
  const [scoresBuffer, gradientsBuffer] = ['scores', 'score gradients'].map((name) =>
    scratch.take(name, bytes),
  );
  const sharesKeys = key.outer === 0 && batch > 1;

  for (let first = 0; first < tokens; first += most) {
    const part = Math.min(most, tokens - first);
    const scores = scoresMatrix(scoresBuffer!, attention, part);
    const scoreGradients = scoresMatrix(gradientsBuffer!, attention, part);
    const partOf = (matrix: Matrix): Matrix => fromToken(matrix, first);
    const ofScores = { rows: paddedKeys, columns: part, depth: headDim, outer: batch, inner: heads };
    recordProduct(recording, { ...ofScores, a: transposed(key), b: partOf(query), c: scores });
    recordProduct(recording, {
      ...ofScores,
      a: transposed(value),
      b: partOf(gradients.attended),
      c: scoreGradients,
    });
    const numbers = scoreNumbers(attention, scores, first, part);
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
      [Math.ceil(part / softmaxGradientWorkgroup), paddedKeys, batch * heads],
    );
    recordProduct(recording, {
      a: key,
      b: scoreGradients,
      c: partOf(gradients.query),
      rows: headDim,
      columns: part,
      depth: paddedKeys,
      outer: batch,
      inner: heads,
    });
    // Keys that all batch rows share: their gradients are added up, one batch row after another.
    for (let row = 0; row < (sharesKeys ? batch : 1); ++row) {
      const rowOf = (matrix: Matrix): Matrix => ({ ...matrix, offset: matrix.offset + row * matrix.outer });
      const ofKeys = {
        rows: headDim,
        columns: paddedKeys,
        depth: part,
        outer: sharesKeys ? 1 : batch,
        inner: heads,
        accumulates: first > 0 || row > 0,
      };
      recordProduct(recording, {
        ...ofKeys,
        a: rowOf(partOf(gradients.attended)),
        b: transposed(rowOf(scores)),
        c: gradients.value,
      });
      recordProduct(recording, {
        ...ofKeys,
        a: rowOf(partOf(query)),
        b: transposed(rowOf(scoreGradients)),
        c: gradients.key,
      });
    }
  }
}
