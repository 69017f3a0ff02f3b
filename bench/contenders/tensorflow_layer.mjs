// The layer in TensorFlow.js, for every backend. Weights are [in, out], as in the library's dense layers; the
// library computes the gradients.
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients. It must follow the core, which registers its flags. package.json resolves it to
// the whole library in Node.
import '#tensorflow-gradients';
import { makeLayerData } from '../layer_data.mjs';
import { learningRate } from '../learning_rate.mjs';
import { contextLengthOf, tokensOf } from '../shapes.mjs';

/** Returns [rows, C] as heads, [B·heads, …]. `order` permutes [batch, rows, head, channel]. */
function splitHeads(values, { batch, queryDim, numHeads }, rows, order) {
  const headDim = queryDim / numHeads;
  const heads = tf.transpose(tf.reshape(values, [batch, rows, numHeads, headDim]), order);
  return tf.reshape(heads, [batch * numHeads, heads.shape[2], heads.shape[3]]);
}

/** Attention of all heads in batched products; the columns of `keyColumns` are the keys. */
const attend = (queries, keyColumns, values) => tf.matMul(tf.softmax(tf.matMul(queries, keyColumns)), values);

/** The same, head by head: each product has two unbatched matrices. */
function attendHeadByHead(...heads) {
  const [queries, keyColumns, values] = heads.map((all) => tf.unstack(all));
  return tf.stack(queries.map((query, head) => tf.tidy(() => attend(query, keyColumns[head], values[head]))));
}

/**
 * Returns the layer as a function of tensors: image [B, C, N], context [B·L, D] or null, weights [in, out].
 */
function makeForward(shape, attention) {
  const { batch, queryDim, numHeads } = shape;
  const [tokens, length] = [tokensOf(shape), contextLengthOf(shape)];
  const scale = 1 / Math.sqrt(queryDim / numHeads);
  return (image, context, query, key, value, output, bias) => {
    const x = tf.reshape(tf.transpose(image, [0, 2, 1]), [batch * tokens, queryDim]);
    const source = context ?? x;
    const queries = splitHeads(tf.mul(tf.matMul(x, query), scale), shape, tokens, [0, 2, 1, 3]);
    const keyColumns = splitHeads(tf.matMul(source, key), shape, length, [0, 2, 3, 1]);
    const values = splitHeads(tf.matMul(source, value), shape, length, [0, 2, 1, 3]);
    const attended = attention(queries, keyColumns, values);
    const heads = tf.reshape(attended, [batch, numHeads, tokens, queryDim / numHeads]);
    const joined = tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [batch * tokens, queryDim]);
    const projected = tf.fused.matMul({ a: joined, b: output, bias });
    return tf.transpose(tf.reshape(projected, [batch, tokens, queryDim]), [0, 2, 1]);
  };
}

const makeWeight = (values, outFeatures, inFeatures) =>
  tf.tidy(() => tf.variable(tf.transpose(tf.tensor2d(values, [outFeatures, inFeatures]))));

/**
 * Implements `prepare` of contenders.mjs on the current backend.
 * @param {{ headByHead: boolean }} options true: one product for each head instead of batched products
 */
export function prepareLayer({ headByHead }, shape, dtype, task, index) {
  const { batch, queryDim, contextDim } = shape;
  const data = makeLayerData(shape, dtype, index);
  const imageShape = [batch, queryDim, tokensOf(shape)];
  const input = tf.tensor(data.input, imageShape);
  const contexts = data.contexts?.map((values) =>
    tf.tensor(values, [batch * contextLengthOf(shape), contextDim]),
  ) ?? [null];
  const { query, key, value, output, bias } = data.parameters;
  const parameters = [
    makeWeight(query, queryDim, queryDim),
    makeWeight(key, queryDim, contextDim),
    makeWeight(value, queryDim, contextDim),
    makeWeight(output, queryDim, queryDim),
    tf.variable(tf.tensor1d(bias)),
  ];
  const forward = makeForward(shape, headByHead ? attendHeadByHead : attend);
  let calls = 0;
  const nextContext = () => contexts[calls++ % contexts.length];

  const isTraining = task === 'training';
  const outputGradient = isTraining ? tf.tensor(data.outputGradient, imageShape) : null;
  const optimizer = tf.train.sgd(learningRate);
  const step = () => {
    const context = nextContext();
    const sources = context === null ? [input] : [input, context];
    const gradient = tf.grads((image, ...others) =>
      context === null ? forward(image, null, ...others) : forward(image, ...others),
    );
    const gradients = gradient([...sources, ...parameters], outputGradient);
    const parameterGradients = gradients.slice(sources.length);
    optimizer.applyGradients(
      parameters.map(({ name }, position) => ({ name, tensor: parameterGradients[position] })),
    );
    return gradients[0];
  };
  // The WebAssembly backend is synchronous: a returned tensor is computed.
  const call = isTraining ? step : () => forward(input, nextContext(), ...parameters);
  const dispose = () => {
    optimizer.dispose();
    const owned = [input, outputGradient, ...parameters, ...contexts];
    tf.dispose(owned.filter((tensor) => tensor !== null));
  };

  return {
    run: () => tf.dispose(tf.tidy(call)),
    check() {
      const result = tf.tidy(call);
      const values = result.dataSync();
      result.dispose();
      return values;
    },
    dispose,
    phases: {
      resident: [...parameters, ...contexts].filter((tensor) => tensor !== null),
      upload: () => tf.tensor(data.input, imageShape),
      compute: (image) => tf.tidy(() => forward(image, nextContext(), ...parameters)),
      read: (output) => output.data(),
      release: (tensor) => tensor.dispose(),
      dispose,
    },
  };
}
