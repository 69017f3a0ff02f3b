// This package in WebAssembly, imported as users do.
import { compile, DiffusionCrossAttention, init, Tensor } from 'diffusion-cross-attention';
import { makeLayerData } from '../layer_data.mjs';
import { learningRate } from '../learning_rate.mjs';

/** @param {{ simd: 'relaxed' | 'baseline', threads: number }} options */
export async function start({ simd, threads }) {
  const info = await init({ simd, threads, device: 'wasm' });
  if (info.simd !== simd || info.threads !== threads) {
    throw new Error(`SIMD and threads are ${info.simd}, ${info.threads}; expected ${simd}, ${threads}`);
  }
  return {
    supports: () => true,
    prepare: (shape, dtype, task, index) =>
      (task === 'forward-compiled' ? prepareCompiled : prepare)(shape, dtype, task, index),
  };
}

export function makeLayer(
  { queryDim, contextDim, numHeads, height },
  dtype,
  { query, key, value, output, bias },
) {
  const layer = new DiffusionCrossAttention(queryDim, contextDim, numHeads, height, { dtype });
  const parameters = [query, key, value, output, bias];
  layer.getParameterNames().forEach((name, index) => {
    const values = Tensor.from(parameters[index], layer.getParameterShape(name));
    layer.setParameter(name, values);
    values.dispose();
  });
  return layer;
}

/** Compiles the layer's graph for one prompt: the context is constant. */
async function prepareCompiled(shape, dtype, _task, index) {
  const data = makeLayerData(shape, dtype, index);
  const layer = makeLayer(shape, dtype, data.parameters);
  const input = Tensor.from(data.input, data.imageShape);
  const context = Tensor.from(data.contexts[0], data.contextShape);
  const inputs = [];
  const output = layer.exportComputationGraph(inputs);
  const compiled = await compile(output, inputs, {
    inputShapes: [input.shape, context.shape],
    constants: new Map([[inputs[1], context]]),
  });
  return {
    run: () => compiled.run(input).dispose(),
    check() {
      const result = compiled.run(input);
      const values = result.data();
      result.dispose();
      return values;
    },
    flopsDone: () => compiled.flops,
    dispose() {
      for (const owned of [compiled, layer, input, context]) owned.dispose();
    },
  };
}

export function prepare(shape, dtype, task, index) {
  const data = makeLayerData(shape, dtype, index);
  const layer = makeLayer(shape, dtype, data.parameters);
  const input = Tensor.from(data.input, data.imageShape);
  const contexts = data.contexts?.map((values) => Tensor.from(values, data.contextShape)) ?? [null];
  const isTraining = task === 'training';
  const outputGradient = isTraining ? Tensor.from(data.outputGradient, data.imageShape) : null;
  layer.training = isTraining;

  // The layer caches the keys and values of the last context. Two alternating contexts never hit the cache.
  let calls = 0;
  const nextContext = () => (task === 'forward-cached' ? contexts[0] : contexts[calls++ % contexts.length]);
  const call = () => {
    const output = layer.forwardWithContext(input, nextContext());
    if (!isTraining) return output;
    output.dispose();
    const inputGradient = layer.backward(outputGradient);
    layer.updateParameters(learningRate);
    return inputGradient;
  };

  return {
    run: () => call().dispose(),
    /** Returns the output with the first context; for a training step, the gradient of the input. */
    check() {
      const result = call();
      const values = result.data();
      result.dispose();
      return values;
    },
    /** Valid after `check`, the first call: later calls reuse its scratch memory. */
    memory() {
      const { forwardPeakBytes, packedWeightBytes } = layer.getDiagnostics();
      return {
        forwardPeakBytes: Number(forwardPeakBytes),
        packedWeightBytes: Number(packedWeightBytes),
        outputBytes: data.input.byteLength,
      };
    },
    /**
     * Returns the operations of a call as the layer counts them, including recomputation. Throws if the
     * number of cached contexts is not what the task requires.
     */
    flopsDone() {
      const hitsBefore = Number(layer.getDiagnostics().contextHits);
      call().dispose();
      call().dispose();
      const { contextHits, forwardFlops, backwardFlops } = layer.getDiagnostics();
      const hits = Number(contextHits) - hitsBefore;
      const expected = task === 'forward-cached' ? 2 : 0;
      if (hits !== expected) throw new Error(`${task} has ${hits} cache hits; expected ${expected}`);
      return Number(forwardFlops) + (isTraining ? Number(backwardFlops) : 0);
    },
    dispose() {
      for (const owned of [layer, input, outputGradient, ...contexts]) owned?.dispose();
    },
  };
}
