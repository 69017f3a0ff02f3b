// A layer in ONNX Runtime, native, in WebAssembly or on WebGPU: all have the same interface.
import { onnxLayer } from '../../support/onnx_layer.mjs';
import { makeLayerData } from '../layer_data.mjs';
import { contextLengthOf, tokensOf } from '../shapes.mjs';

/** It keeps nothing of a context, and has no gradients. */
export const supports = (_shape, dtype, task) => dtype === 'float32' && task !== 'training';

/** The image's tokens [B, N, C], which are the context of self-attention. */
function tokensOfImage({ batch, queryDim, ...size }, image) {
  const tokens = tokensOf(size);
  const result = new Float32Array(image.length);
  for (let row = 0; row < batch; ++row) {
    for (let channel = 0; channel < queryDim; ++channel) {
      for (let token = 0; token < tokens; ++token) {
        result[(row * tokens + token) * queryDim + channel] =
          image[(row * queryDim + channel) * tokens + token];
      }
    }
  }
  return result;
}

/**
 * The session, the data of the layer and, for its input `context`, the values of one call after another.
 * @param {object} ort the runtime
 * @param {object} sessionOptions its InferenceSession.SessionOptions
 * @param {{ fused: boolean }} graph as onnxLayer takes it
 */
export async function createSession(ort, sessionOptions, { fused }, shape, index) {
  const { batch, queryDim, contextDim, numHeads } = shape;
  const data = makeLayerData(shape, 'float32', index);
  const length = contextLengthOf(shape);
  const scale = 1 / Math.sqrt(queryDim / numHeads);
  const model = onnxLayer({ ...shape, length, parameters: data.parameters, scale, fused });
  const session = await ort.InferenceSession.create(model, {
    ...sessionOptions,
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
  });
  return {
    session,
    data,
    contexts: data.contexts ?? [tokensOfImage(shape, data.input)],
    contextShape: [batch, length, contextDim],
  };
}

/** `prepare` of contenders.mjs. Takes what createSession takes. */
export async function prepareSession(ort, ...what) {
  const { session, data, contexts: contextValues, contextShape } = await createSession(ort, ...what);
  const input = new ort.Tensor('float32', data.input, data.imageShape);
  const contexts = contextValues.map((values) => new ort.Tensor('float32', values, contextShape));
  let calls = 0;
  const run = () => session.run({ input, context: contexts[calls++ % contexts.length] });
  return {
    run,
    check: async () => (await run()).output.data,
    dispose: () => session.release(),
  };
}
