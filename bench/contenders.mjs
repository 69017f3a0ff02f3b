// Who can be measured: a file of contenders/ each, loaded where it is wanted. Nothing in here needs Node: pages bundle them.
//
// Each exports start(options), which resolves to
//   supports(shape, dtype, task)   whether it offers that
//   prepare(shape, dtype, task, index)   one layer, ready to run, on the data of layer_data.mjs:
//     run()         one call; may return a promise
//     check()       the result of a first call, as a typed array, null where there is nothing to compare
//     flopsDone()   optional: the operations of one call, where the contender counts them itself
//     memory()      optional: bytes, by names of its own
//     inParts       optional: its forward as webgpu/contenders.mjs has it
//     dispose()
export const contenders = {
  ceiling: () => import('./contenders/ceiling.mjs'),
  cross_attention: () => import('./contenders/cross_attention.mjs'),
  onnxruntime_web: () => import('./contenders/onnxruntime_web.mjs'),
  tensorflow: () => import('./contenders/tensorflow.mjs'),
  jax: () => import('./contenders/jax.mjs'),
};

/** The others, by a name for each way to set one up. */
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

/** An entry of measurement.mjs, but for where it runs. `label`: without threads. */
export const entryOf = (label, name, options) => ({
  label,
  title: `${label}, ${threadsTitle(options.threads)}`,
  name,
  options,
});
