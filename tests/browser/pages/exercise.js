// Uses the package once, in the same way in a page, in a worker and in Node, so that the results can be
// compared.
import { DiffusionCrossAttention, Tensor, compile, init, memoryInUse } from '../../../dist/index.js';

/** Sizes that are not multiples of a tile or a vector. */
export const shapes = { input: [2, 60, 13, 11], context: [2, 37, 44], heads: 5 };
/** sd15-64 with two pictures: large enough to detect a blocked calling thread. */
const largeShapes = { input: [2, 320, 64, 64], context: [1, 77, 768], heads: 8 };

/**
 * @param {import('../../../dist/index.js').InitOptions} initOptions
 * @returns the RuntimeInfo, a hash of the bits of each result, and the number of turns of the event loop
 *   during a forwardAsync, which the marks 'forwardAsync begins' and 'forwardAsync ends' enclose
 */
export async function exercise(initOptions) {
  const runtime = await init(initOptions);
  const layer = makeLayer(shapes);
  const input = Tensor.randn(shapes.input, { seed: 1 });
  const context = Tensor.randn(shapes.context, { seed: 2 });
  const gradient = Tensor.randn(shapes.input, { seed: 3 });

  layer.training = true;
  const output = layer.forwardWithContext(input, context);
  const inputGradient = layer.backward(gradient);
  const results = {
    output: output.data(),
    inputGradient: inputGradient.data(),
    contextGradient: layer.contextGradient.data(),
    parameterGradients: layer.getParameterGradients(),
  };
  layer.updateParameters(0.01);
  layer.training = false;
  results.parameters = layer.getParameters();
  const blocking = layer.forwardWithContext(input, context);
  const awaited = await layer.forwardAsync(input, context);
  const maps = layer.attentionMaps(input, context);
  results.blocking = blocking.data();
  results.awaited = awaited.data();
  results.maps = maps.data();
  const compiled = await compileFor(layer, input, context);
  const ran = compiled.run(input);
  const ranAwaited = await compiled.runAsync(input);
  results.ran = ran.data();
  results.ranAwaited = ranAwaited.data();

  const hashes = {};
  for (const [name, values] of Object.entries(results)) hashes[name] = await hashOf(values);
  const tensors = [input, context, gradient, output, inputGradient, blocking, awaited, maps, ran, ranAwaited];
  for (const owner of [...tensors, compiled, layer]) owner.dispose();
  const turns = await turnsDuringForward();
  return { runtime, hashes, turns, memoryInUse: memoryInUse() };
}

export function makeLayer({ input, context, heads }) {
  return new DiffusionCrossAttention(input[1], context.at(-1), heads, undefined, { seed: 4 });
}

/** Compiles the layer's graph with a constant context. Without measurements, which can change the bits. */
export async function compileFor(layer, input, context) {
  const inputs = [];
  const output = layer.exportComputationGraph(inputs);
  return compile(output, inputs, {
    inputShapes: [input.shape, context.shape],
    constants: new Map([[inputs[1], context]]),
    measure: false,
  });
}

async function hashOf({ buffer, byteOffset, byteLength }) {
  // A copy: digest rejects shared memory.
  const bytes = new Uint8Array(buffer, byteOffset, byteLength).slice();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Returns the number of turns of the event loop during the forwardAsync of a large layer. */
async function turnsDuringForward() {
  const layer = makeLayer(largeShapes);
  const input = Tensor.randn(largeShapes.input, { seed: 5 });
  const context = Tensor.randn(largeShapes.context, { seed: 6 });
  // The first call packs the weights and allocates memory.
  layer.forwardWithContext(input, context).dispose();
  // Ends the task of the preparations.
  await new Promise((resolve) => setTimeout(resolve));

  const { port1, port2 } = new MessageChannel();
  let turns = 0;
  port1.onmessage = () => {
    turns++;
    port2.postMessage(null);
  };
  port2.postMessage(null);
  performance.mark('forwardAsync begins');
  const output = await layer.forwardAsync(input, context);
  performance.mark('forwardAsync ends');
  port1.close();
  for (const owner of [output, input, context, layer]) owner.dispose();
  return turns;
}
