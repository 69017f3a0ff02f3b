// A layer in ONNX Runtime. Its builds (native, WebAssembly, WebGPU) have the same interface.
import { onnxLayer } from '../../support/onnx_layer.mjs';
import { makeLayerData } from '../layer_data.mjs';
import { contextLengthOf, tokensOf } from '../shapes.mjs';

/** There is no backward pass. Nothing of a context is cached, so all forward tasks are the same. */
export const supports = (_shape, dtype, task) => dtype === 'float32' && task !== 'training';

/** Returns the tokens of the image, [B, N, C]: the context of self-attention. */
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
 * Creates a session. Returns it with the data of the layer and the values of its input `context`, which
 * alternate from call to call.
 * @param {object} ort the runtime
 * @param {object} sessionOptions InferenceSession.SessionOptions
 * @param {{ fused: boolean }} graph see onnxLayer
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

/** Implements `prepare` of contenders.mjs. The parameters are those of createSession. */
export async function prepareSession(ort, ...args) {
  const { session, data, contexts: contextValues, contextShape } = await createSession(ort, ...args);
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
