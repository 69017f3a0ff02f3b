// The contenders on WebGPU, by configuration; this package first. They need no Node API: the page bundles
// them.
//
// Each module exports start(options), which resolves to an object with
//   getDevice()      returns the GPUDevice of the contender, or null if the contender does not expose it
//   synchronize()    optional: resolves when all submitted work is done; default: onSubmittedWorkDone
//   prepare(shape)   returns a float32 layer with the data of ../layer_data.mjs:
//     upload()         copies the image to the device and returns it
//     compute(image)   returns the output on the device; the context differs from that of the last call
//     read(output)     returns the values as a typed array
//     release(tensor)  frees an image or an output
//     dispose()
// Weights and contexts are on the device after prepare. All methods may return a promise. upload and compute
// need not wait for the work that they submit.
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
    label: 'jax-js, one jit per stage',
    load: async () => (await import('../contenders/jax.mjs')).startOnWebGpu,
    options: { jitScope: 'stages' },
  },
  'jax-whole': {
    label: 'jax-js, one jit',
    load: async () => (await import('../contenders/jax.mjs')).startOnWebGpu,
    options: { jitScope: 'whole' },
  },
};
