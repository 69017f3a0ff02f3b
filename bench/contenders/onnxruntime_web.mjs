// ONNX Runtime Web in WebAssembly, configured as its documentation recommends: threads are set before the
// first session, SIMD (the only build), all graph optimisations. Two graphs: standard operators, and
// attention as one fused operator. package.json resolves #onnxruntime-web to the build for Node, or in a page
// to the build with only WebAssembly.
import * as ort from '#onnxruntime-web';
import { prepareSession, supports } from './onnx_session.mjs';

/**
 * @param {object} options
 * @param {number} options.threads
 * @param {'fused' | 'decomposed'} options.graph
 * @param {{ wasm: string, mjs: string }} [options.files] addresses of the runtime's files in a page; not
 *   needed in Node
 */
export async function start({ threads, graph, files }) {
  ort.env.wasm.numThreads = threads;
  if (files) ort.env.wasm.wasmPaths = files;
  return {
    supports,
    prepare: (shape, _dtype, _task, index) =>
      prepareSession(ort, { executionProviders: ['wasm'] }, { fused: graph === 'fused' }, shape, index),
  };
}
