// jax-js, compiled by its jit, in WebAssembly or on WebGPU. One jit over the whole layer, as in JAX, fuses transposes into
// products, which makes these several times slower in WebAssembly; a jit for each stage keeps them apart, but costs
// milliseconds of dispatch. There a layer takes whichever is faster for it.
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

/** Only below that can dispatch be what matters. */
const shortCallMilliseconds = 200;

const keep = (fn) => fn;
/** What becomes one program: each stage of the layer, or the whole of it. */
const ways = { stages: { stage: jit, whole: keep }, whole: { stage: keep, whole: jit } };

/** @param {{ threads: number }} options */
export async function start({ threads }) {
  if (threads > 1 && (typeof Worker === 'undefined' || typeof SharedArrayBuffer === 'undefined')) {
    throw new Error(
      typeof Worker === 'undefined' ? 'it has one thread in Node' : 'no shared memory for threads',
    );
  }
  // It takes as many threads as it believes the machine to have.
  if (typeof Worker !== 'undefined') {
    Object.defineProperty(navigator, 'hardwareConcurrency', { value: threads, configurable: true });
  }
  await startDevice('wasm', 'its WebAssembly backend');
  return { supports: () => true, prepare: (...what) => prepare(null, ...what) };
}

/** On WebGPU: see webgpu/contenders.mjs. @param {{ way: keyof typeof ways }} options */
export async function startOnWebGpu({ way }) {
  await startDevice('webgpu', 'its WebGPU backend');
  return {
    getDevice: getWebGPUDevice,
    prepare: async (shape) => (await prepare(ways[way], shape, 'float32', 'forward', 0)).inParts,
  };
}

async function startDevice(device, title) {
  if (!(await init(device)).includes(device)) throw new Error(`${title} does not start`);
  defaultDevice(device);
}

/**
 * The layer as a function of arrays: image [B, C, N], context [B, L, D], weights [in, out]; without context where the shape
 * has none. As all functions of jax-js it takes its arguments for itself: `ref` keeps one. `stage` wraps each stage.
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

/** A training step: the gradients of all that forward takes; parameters, its last five arguments, are replaced. */
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
    const ofParameters = others.splice(sources.length - 1);
    for (const unused of others) unused.dispose();
    parameters.splice(0, parameters.length, ...descend([...parameters], ofParameters));
    return inputGradient;
  };
}

/** `way`: one of `ways`, or null for the faster one. */
async function prepare(way, shape, dtype, task, index) {
  const { batch, queryDim, contextDim, length } = shape;
  const data = makeLayerData(shape, dtype, index);
  const array = (values, dims) => np.array(values, { dtype: np[dtype] }).reshape(dims);
  // Compiled, for else it would only be another view of the same numbers.
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
  const ready = async (call, image = input) => {
    const sources = contexts === undefined ? [image] : [image, contexts[calls++ % contexts.length]];
    const result = call(sources, parameters);
    await blockUntilReady([result, ...parameters]);
    return result;
  };
  const millisecondsOf = async (call) => {
    (await ready(call)).dispose();
    const start = performance.now();
    (await ready(call)).dispose();
    return performance.now() - start;
  };
  const fasterCall = async () => {
    const inStages = makeCall(ways.stages);
    const milliseconds = await millisecondsOf(inStages);
    if (milliseconds >= shortCallMilliseconds) return inStages;
    const inOne = makeCall(ways.whole);
    return (await millisecondsOf(inOne)) < milliseconds ? inOne : inStages;
  };
  const call = way === null ? await fasterCall() : makeCall(way);
  calls = 0;
  const dispose = () => {
    for (const owned of [input, outputGradient, ...(contexts ?? []), ...parameters]) owned?.dispose();
  };
  return {
    run: async () => (await ready(call)).dispose(),
    // Reading takes the array.
    check: async () => (await ready(call)).data(),
    dispose,
    inParts: {
      upload: () => array(data.input, imageShape),
      compute: (image) => ready(call, image),
      read: (output) => output.ref.data(),
      release: (values) => values.dispose(),
      dispose,
    },
  };
}
