// jax-js, compiled by its jit, in WebAssembly or on WebGPU. In WebAssembly, one jit over the whole layer
// fuses transposes into matrix products, which makes the products several times slower. A jit for each stage
// avoids that but costs milliseconds of dispatch. So each layer is measured in WebAssembly with the faster of
// the two.
import {
  blockUntilReady,
  defaultDevice,
  getWebGPUDevice,
  grad,
  init,
  jit,
  nn,
  numpy as np,
} from '@jax-js/jax';
import { makeLayerData } from '../layer_data.mjs';
import { learningRate } from '../learning_rate.mjs';
import { tokensOf } from '../shapes.mjs';

/** In a longer call, dispatch does not matter. */
const shortCallMilliseconds = 200;

const identity = (fn) => fn;
/** What becomes one program: each stage of the layer, or the whole layer. */
const jitScopes = { stages: { stage: jit, whole: identity }, whole: { stage: identity, whole: jit } };

/** @param {{ threads: number }} options */
export async function start({ threads }) {
  if (threads > 1 && (typeof Worker === 'undefined' || typeof SharedArrayBuffer === 'undefined')) {
    throw new Error(
      typeof Worker === 'undefined' ? 'supports only one thread in Node' : 'threads need shared memory',
    );
  }
  // jax-js uses navigator.hardwareConcurrency threads.
  if (typeof Worker !== 'undefined') {
    Object.defineProperty(navigator, 'hardwareConcurrency', { value: threads, configurable: true });
  }
  await startDevice('wasm', 'WebAssembly');
  return { supports: () => true, prepare: (...args) => prepare(null, ...args) };
}

/** On WebGPU: see webgpu/contenders.mjs. @param {{ jitScope: keyof typeof jitScopes }} options */
export async function startOnWebGpu({ jitScope }) {
  await startDevice('webgpu', 'WebGPU');
  return {
    getDevice: getWebGPUDevice,
    prepare: async (shape) => (await prepare(jitScopes[jitScope], shape, 'float32', 'forward', 0)).phases,
  };
}

async function startDevice(device, title) {
  if (!(await init(device)).includes(device)) throw new Error(`the ${title} backend did not start`);
  defaultDevice(device);
}

/**
 * Returns the layer as a function of arrays: image [B, C, N], context [B, L, D], weights [in, out]; without
 * context if the shape has none. As all functions of jax-js, it consumes its arguments; `ref` retains one.
 * `stage` wraps each stage.
 */
function makeForward({ batch, queryDim, numHeads, length }, stage) {
  const swap = stage((values) => values.transpose([0, 2, 1]));
  const project = stage((values, weight) => np.matmul(values, weight));
  const splitHeads = (values) => values.reshape([batch, values.shape[1], numHeads, queryDim / numHeads]);
  const attend = stage((query, key, value) => {
    const { shape } = query;
    return nn.dotProductAttention(splitHeads(query), splitHeads(key), splitHeads(value)).reshape(shape);
  });
  const projectWithBias = stage((values, weight, bias) => np.matmul(values, weight).add(bias));
  const layer = (tokens, context, [query, key, value, output, bias]) => {
    const projected = [project(tokens, query), project(context.ref, key), project(context, value)];
    return swap(projectWithBias(attend(...projected), output, bias));
  };
  if (length !== null) return (image, context, ...parameters) => layer(swap(image), context, parameters);
  return (image, ...parameters) => {
    const tokens = swap(image);
    return layer(tokens.ref, tokens, parameters);
  };
}

const refsOf = (arrays) => arrays.map((array) => array.ref);

/**
 * Returns a training step: computes the gradients of all arguments of `forward` and replaces the parameters,
 * its last five arguments.
 */
function makeStep(forward, outputGradient, argumentCount, whole) {
  const loss = (...values) => np.sum(forward(...values).mul(outputGradient.ref));
  const argnums = Array.from({ length: argumentCount }, (_, index) => index);
  const gradient = whole(grad(loss, { argnums }));
  const descend = jit((parameters, gradients) =>
    parameters.map((parameter, index) => parameter.sub(gradients[index].mul(learningRate))),
  );
  return (sources, parameters) => {
    const gradients = gradient(...refsOf(sources), ...refsOf(parameters));
    const [inputGradient, ...others] = gradients;
    const parameterGradients = others.splice(sources.length - 1);
    for (const unused of others) unused.dispose();
    parameters.splice(0, parameters.length, ...descend([...parameters], parameterGradients));
    return inputGradient;
  };
}

/** `jitScope`: a value of `jitScopes`, or null for the faster one. */
async function prepare(jitScope, shape, dtype, task, index) {
  const { batch, queryDim, contextDim, length } = shape;
  const data = makeLayerData(shape, dtype, index);
  const array = (values, dims) => np.array(values, { dtype: np[dtype] }).reshape(dims);
  // Compiled: without jit, the transpose would be a view of the same numbers.
  const weight = (values, inFeatures) =>
    jit((matrix) => matrix.transpose())(array(values, [queryDim, inFeatures]));
  const imageShape = [batch, queryDim, tokensOf(shape)];
  const input = array(data.input, imageShape);
  const isTraining = task === 'training';
  const outputGradient = isTraining ? array(data.outputGradient, imageShape) : null;
  const contexts = data.contexts?.map((values) => array(values, [batch, length, contextDim]));
  const { query, key, value, output, bias } = data.parameters;
  const parameters = [
    weight(query, queryDim),
    weight(key, contextDim),
    weight(value, contextDim),
    weight(output, queryDim),
    array(bias, [queryDim]),
  ];
  const sourceCount = contexts === undefined ? 1 : 2;
  const makeCall = ({ stage, whole }) => {
    const forward = makeForward(shape, stage);
    if (isTraining) {
      return makeStep(forward, outputGradient, sourceCount + parameters.length, whole);
    }
    const compiled = whole(forward);
    return (sources, values) => compiled(...refsOf(sources), ...refsOf(values));
  };
  let calls = 0;
  const finished = async (call, image = input) => {
    const sources = contexts === undefined ? [image] : [image, contexts[calls++ % contexts.length]];
    const result = call(sources, parameters);
    await blockUntilReady([result, ...parameters]);
    return result;
  };
  const millisecondsOf = async (call) => {
    (await finished(call)).dispose();
    const start = performance.now();
    (await finished(call)).dispose();
    return performance.now() - start;
  };
  const fasterCall = async () => {
    const byStages = makeCall(jitScopes.stages);
    const milliseconds = await millisecondsOf(byStages);
    if (milliseconds >= shortCallMilliseconds) return byStages;
    const asWhole = makeCall(jitScopes.whole);
    return (await millisecondsOf(asWhole)) < milliseconds ? asWhole : byStages;
  };
  const call = jitScope === null ? await fasterCall() : makeCall(jitScope);
  calls = 0;
  const dispose = () => {
    for (const owned of [input, outputGradient, ...(contexts ?? []), ...parameters]) owned?.dispose();
  };
  return {
    run: async () => (await finished(call)).dispose(),
    // `data` consumes the array.
    check: async () => (await finished(call)).data(),
    dispose,
    phases: {
      upload: () => array(data.input, imageShape),
      compute: (image) => finished(call, image),
      read: (output) => output.ref.data(),
      release: (values) => values.dispose(),
      dispose,
    },
  };
}
