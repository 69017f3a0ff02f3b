// Who can be measured on WebGPU, by a name for each way to set one up; ours first. No Node in here: the page bundles them.
//
// Each exports a start(options), which resolves to
//   getDevice()      the GPUDevice that it computes on, null where it keeps that to itself; may return a promise
//   synchronize()    resolves when all is done that was submitted; where there is none, the device's queue is asked
//   prepare(shape)   one layer on the data of ../layer_data.mjs, weights and contexts on the device, float32:
//     upload()         the image, on the device
//     compute(image)   the output, on the device; the context is another one than at the last call
//     read(output)     its values as a typed array
//     release(image or output)
//     dispose()
//   Each may return a promise. Work that is submitted need not be done then.
export const ours = 'diffusion-cross-attention';

const startOf = async (module) => (await module).start;

export const contenders = {
  [ours]: {
    label: 'ours',
    load: () => startOf(import('../contenders/cross_attention_webgpu.mjs')),
    options: {},
  },
  'onnxruntime-web-fused': {
    label: 'ONNX Runtime Web, fused',
    load: () => startOf(import('../contenders/onnxruntime_webgpu.mjs')),
    options: { graph: 'fused' },
  },
  'onnxruntime-web': {
    label: 'ONNX Runtime Web',
    load: () => startOf(import('../contenders/onnxruntime_webgpu.mjs')),
    options: { graph: 'decomposed' },
  },
  tensorflow: {
    label: 'TensorFlow.js',
    load: () => startOf(import('../contenders/tensorflow_webgpu.mjs')),
    options: {},
  },
  'jax-stages': {
    label: 'jax-js, a jit for each stage',
    load: async () => (await import('../contenders/jax.mjs')).startOnWebGpu,
    options: { way: 'stages' },
  },
  'jax-whole': {
    label: 'jax-js, one jit',
    load: async () => (await import('../contenders/jax.mjs')).startOnWebGpu,
    options: { way: 'whole' },
  },
};
