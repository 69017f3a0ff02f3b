// The contenders of the benchmark: one module of contenders/ each, loaded on demand. They need no Node API:
// pages bundle them.
//
// A contender exports start(options), which resolves to an object with
//   supports(shape, dtype, task)   returns true if the contender can be measured
//   prepare(shape, dtype, task, index)   returns one layer with the data of layer_data.mjs:
//     run()         makes one call; may return a promise
//     check()       returns the result of the first call as a typed array, null if none is compared
//     flopsDone()   optional: returns the operations of one call, as counted by the contender
//     memory()      optional: returns numbers of bytes by name
//     phases        optional: the forward pass in the form of webgpu/contenders.mjs
//     dispose()
export const contenders = {
  ceiling: () => import('./contenders/ceiling.mjs'),
  cross_attention: () => import('./contenders/cross_attention.mjs'),
  onnxruntime_web: () => import('./contenders/onnxruntime_web.mjs'),
  tensorflow: () => import('./contenders/tensorflow.mjs'),
  jax: () => import('./contenders/jax.mjs'),
};

/** The reason in `notMeasured` if `supports` returns false. */
export const notSupported = 'not supported';

/** Other libraries, by configuration. */
export const peers = {
  'onnxruntime-web-fused': {
    label: 'ONNX Runtime Web, fused',
    name: 'onnxruntime_web',
    options: { graph: 'fused' },
  },
  'onnxruntime-web': { label: 'ONNX Runtime Web', name: 'onnxruntime_web', options: { graph: 'decomposed' } },
  tensorflow: { label: 'TensorFlow.js', name: 'tensorflow', options: {} },
  jax: { label: 'jax-js', name: 'jax', options: {} },
};

export const threadsTitle = (threads) => (threads === 1 ? '1 thread' : `${threads} threads`);

/**
 * Returns an entry of measurement.mjs without its process. `label`: the name without the number of threads.
 */
export const entryOf = (label, name, options) => ({
  label,
  title: `${label}, ${threadsTitle(options.threads)}`,
  name,
  options,
});
