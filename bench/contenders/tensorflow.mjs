// TensorFlow.js in WebAssembly with SIMD. Its matrix product is fast (XNNPACK) only for two unbatched
// matrices, neither of them transposed. So heads are multiplied one by one, which is nine times faster than a
// batched product. The products of its gradients do not use that path.
import * as tf from '@tensorflow/tfjs-core';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { prepareLayer } from './tensorflow_layer.mjs';

/**
 * @param {object} options
 * @param {number} options.threads
 * @param {Record<string, string>} [options.files] addresses of its .wasm files by name in a page; not needed
 *   in Node
 */
export async function start({ threads, files }) {
  if (threads > 1 && !(await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT'))) {
    throw new Error(
      tf.env().get('IS_NODE') ? 'supports only one thread in Node' : 'threads need shared memory',
    );
  }
  setThreadsCount(threads);
  if (files) setWasmPaths(files);
  if (!(await tf.setBackend('wasm'))) throw new Error('the WebAssembly backend did not start');
  return {
    supports: (_shape, dtype) => dtype === 'float32',
    prepare: (...args) => prepareLayer({ headByHead: true }, ...args),
  };
}
