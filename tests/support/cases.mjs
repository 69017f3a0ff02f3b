// Builds calls of the layer, both as tensors for the package and as a problem for the reference.
import { DiffusionCrossAttention, Tensor } from './package.mjs';
import { bitArray, normalArray } from '../../support/random.mjs';

/** Transposes [B, rows, columns] to [B, columns, rows]. */
export function exchangeAxes(values, batch, rows, columns) {
  const result = new Float64Array(values.length);
  for (let batchRow = 0; batchRow < batch; ++batchRow) {
    const begin = batchRow * rows * columns;
    for (let row = 0; row < rows; ++row) {
      for (let column = 0; column < columns; ++column) {
        result[begin + column * rows + row] = values[begin + row * columns + column];
      }
    }
  }
  return result;
}

export const sizeOf = (shape) => shape.reduce((size, dimension) => size * dimension, 1);

export function normalTensor(shape, seed, { dtype = 'float32', deviation = 1 } = {}) {
  return Tensor.from(normalArray(sizeOf(shape), seed, { dtype, deviation }), shape, dtype);
}

/** Returns a key mask with one bit per key. The rows whose indices are in `ignored` are all zero. */
export function keyMask(rows, length, seed, { ignored = [], probability = 0.7 } = {}) {
  const bits = bitArray(rows * length, seed, { probability });
  for (const row of ignored) bits.fill(0, row * length, (row + 1) * length);
  return { kind: 'key', shape: [rows, length], values: bits };
}

/** Returns an additive mask of normal numbers, some of them replaced by -Infinity. */
export function additiveMask(shape, seed, { ignoreProbability = 0.2 } = {}) {
  const values = normalArray(sizeOf(shape), seed);
  const ignore = bitArray(values.length, seed + 1, { probability: ignoreProbability });
  return { kind: 'additive', shape, values: values.map((v, i) => (ignore[i] ? -Infinity : v)) };
}

function maskFunction(mask, values) {
  if (mask === null) return null;
  if (mask.kind === 'key') {
    const [rows, length] = mask.shape;
    return (batchRow, _head, _token, l) =>
      values[(rows === 1 ? 0 : batchRow) * length + l] === 1 ? 0 : -Infinity;
  }
  const [batch, heads, tokens, length] = mask.shape;
  return (batchRow, head, token, l) => {
    const row = (batch === 1 ? 0 : batchRow) * heads + (heads === 1 ? 0 : head);
    return values[(row * tokens + (tokens === 1 ? 0 : token)) * length + l];
  };
}

const parameterKeys = ['query', 'key', 'value', 'output', 'bias'];

/** Returns a layer's parameters in float64 by the reference's names. */
export function splitParameters(layer, flat) {
  let begin = 0;
  const parts = layer.getParameterNames().map((name, index) => {
    const size = sizeOf(layer.getParameterShape(name));
    begin += size;
    return [parameterKeys[index], new Float64Array(flat.subarray(begin - size, begin))];
  });
  return Object.fromEntries(parts);
}

/** Returns the five parameters or gradients of the reference as a flat array in the layer's order. */
export const joinParameters = (parts) => concatenate(parameterKeys.map((key) => parts[key]));

function concatenate(arrays) {
  const all = new Float64Array(arrays.reduce((length, array) => length + array.length, 0));
  let begin = 0;
  for (const array of arrays) {
    all.set(array, begin);
    begin += array.length;
  }
  return all;
}

/**
 * Returns {layer, input, context (null: self-attention), options, problem, dispose(), toTokens(data)}.
 * layout: 'image' [B, C, H, W], 'tokens' [B, H·W, C] or 'single' [H·W, C] (B must be 1). length null:
 * self-attention. contextLayout: 'batched' [contextBatch, L, D] or 'single' [L, D].
 */
export function makeCase({
  dtype = 'float32',
  layout = 'image',
  batch = 1,
  height,
  width = 1,
  queryDim,
  contextDim = queryDim,
  numHeads,
  length,
  contextBatch = batch,
  contextLayout = 'batched',
  mask = null,
  maskDType = dtype,
  seed = 1,
  magnitude = 1,
  layerOptions = {},
}) {
  const tokens = height * width;
  const isSelfAttention = length === null;
  const layer = new DiffusionCrossAttention(queryDim, contextDim, numHeads, height, {
    dtype,
    seed,
    ...layerOptions,
  });
  // The initial bias is zero, which would hide a missing bias.
  const bias = normalTensor([queryDim], seed + 1, { dtype });
  layer.setParameter('to_out.0.bias', bias);
  bias.dispose();

  const inputShape = {
    image: [batch, queryDim, height, width],
    tokens: [batch, tokens, queryDim],
    single: [tokens, queryDim],
  }[layout];
  const contextShape = contextLayout === 'single' ? [length, contextDim] : [contextBatch, length, contextDim];
  const input = normalTensor(inputShape, seed + 2, { dtype, deviation: magnitude });
  const context = isSelfAttention
    ? null
    : normalTensor(contextShape, seed + 3, { dtype, deviation: magnitude });
  const maskTensor = mask === null ? null : Tensor.from(mask.values, mask.shape, maskDType);

  const toTokens = (data) =>
    layout === 'image' ? exchangeAxes(data, batch, queryDim, tokens) : new Float64Array(data);
  const inputTokens = toTokens(input.data());
  return {
    layer,
    input,
    context,
    options: maskTensor === null ? {} : { mask: maskTensor },
    toTokens,
    problem: {
      batch,
      tokens,
      length: isSelfAttention ? tokens : length,
      queryDim,
      contextDim,
      numHeads,
      scale: layerOptions.scale ?? 1 / Math.sqrt(queryDim / numHeads),
      input: inputTokens,
      context: isSelfAttention ? inputTokens : new Float64Array(context.data()),
      contextBatch: isSelfAttention ? batch : contextLayout === 'single' ? 1 : contextBatch,
      isSelfAttention,
      parameters: splitParameters(layer, layer.getParameters()),
      mask: maskFunction(mask, maskTensor?.data()),
    },
    dispose() {
      for (const resource of [layer, input, context, maskTensor]) resource?.dispose();
    },
  };
}

/**
 * Calls work(own). own(object) registers a tensor or layer and returns it. Disposes all registered objects
 * when work, or the promise that it returns, has finished. Replaces `using`, which older Node versions do not
 * support.
 */
export function scoped(work) {
  const owned = [];
  const disposeAll = () => owned.reverse().forEach((object) => object.dispose());
  const own = (object) => {
    owned.push(object);
    return object;
  };
  let result;
  try {
    result = work(own);
  } catch (error) {
    disposeAll();
    throw error;
  }
  if (result instanceof Promise) return result.finally(disposeAll);
  disposeAll();
  return result;
}

/** Calls work(layerCase, own) with the result of makeCase, and disposes it afterwards as scoped does. */
export const withCase = (description, work) => scoped((own) => work(own(makeCase(description)), own));

/** Returns the chosen tokens of [B, N, C] in the layout of the reference's forward. */
export function chooseTokens(rows, { batch, tokens, queryDim }, chosen) {
  return Float64Array.from({ length: batch * chosen.length * queryDim }, (_, index) => {
    const row = Math.floor(index / queryDim);
    const token = chosen[row % chosen.length];
    return rows[(Math.floor(row / chosen.length) * tokens + token) * queryDim + (index % queryDim)];
  });
}
