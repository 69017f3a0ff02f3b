// TensorFlow.js in WebAssembly with SIMD. Its product is fast (XNNPACK) only for two plain matrices, neither transposed: so
// heads are multiplied one by one, which is nine times faster than one batched product. For the products of its gradients
// that path is not taken.
import * as tf from '@tensorflow/tfjs-core';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { prepareLayer } from './tensorflow_layer.mjs';

/**
 * @param {object} options
 * @param {number} options.threads
 * @param {Record<string, string>} options.files in a page, where its .wasm files are, by their names; in Node it knows
 */
export async function start({ threads, files }) {
  if (threads > 1 && !(await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT'))) {
    throw new Error(tf.env().get('IS_NODE') ? 'it has one thread in Node' : 'no shared memory for threads');
  }
  setThreadsCount(threads);
  if (files) setWasmPaths(files);
  if (!(await tf.setBackend('wasm'))) throw new Error('its WebAssembly backend does not start');
  return {
    supports: (_shape, dtype) => dtype === 'float32',
    prepare: (...what) => prepareLayer({ headsApart: true }, ...what),
  };
}
