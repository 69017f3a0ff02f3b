// Runs ONNX models in ONNX Runtime, native and in WebAssembly, and decodes them with a protobuf library that
// is independent of the package.
import * as ortWeb from '#onnxruntime-web';
import onnxProto from 'onnx-proto';
import ortNode from 'onnxruntime-node';

ortWeb.env.wasm.numThreads = 1;

export const engines = {
  'onnxruntime-node': { ort: ortNode, options: { intraOpNumThreads: 1, interOpNumThreads: 1 } },
  'onnxruntime-web': { ort: ortWeb, options: { executionProviders: ['wasm'] } },
};

function elementType(data) {
  if (data instanceof BigInt64Array) return 'int64';
  return data instanceof Float64Array ? 'float64' : 'float32';
}

/**
 * Calls work(run) with a session of the model. run({name: {data, shape}}) resolves to the outputs by name,
 * {data, shape}. The arrays must have the model's element type. `exact`: disables the fusion of a scale with
 * the preceding product, for which ONNX Runtime rounds the scale to float32 even in float64 models.
 */
export async function withSession(
  model,
  work,
  { engine = 'onnxruntime-node', exact = false, options: more = {} } = {},
) {
  const { ort, options } = engines[engine];
  const session = await ort.InferenceSession.create(model, {
    ...options,
    graphOptimizationLevel: exact ? 'basic' : 'all',
    logSeverityLevel: 3,
    ...more,
  });
  try {
    return await work(async (inputs) => {
      const feeds = Object.entries(inputs).map(([name, { data, shape }]) => {
        return [name, new ort.Tensor(elementType(data), data, shape)];
      });
      const results = await session.run(Object.fromEntries(feeds));
      return Object.fromEntries(
        Object.entries(results).map(([name, { data, dims }]) => [name, { data, shape: dims }]),
      );
    });
  } finally {
    await session.release();
  }
}

export const decodeModel = (file) => onnxProto.onnx.ModelProto.decode(file);

/** Returns the declared shapes of a model's inputs or outputs: {name: dimensions}, numbers or symbols. */
export function declaredShapes(valueInfos) {
  return Object.fromEntries(
    valueInfos.map(({ name, type }) => [
      name,
      type.tensorType.shape.dim.map(({ dimParam, dimValue }) => dimParam || Number(dimValue)),
    ]),
  );
}
