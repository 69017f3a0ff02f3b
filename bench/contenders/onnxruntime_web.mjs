// ONNX Runtime Web in WebAssembly. As its makers advise: threads set before the first session, SIMD (it has no module
// without), all graph optimisations. Two graphs: plain operators, and attention as one operator of its own.
// In package.json: in Node the build for Node, in a page the one for WebAssembly alone.
import * as ort from '#onnxruntime-web';
import { prepareSession, supports } from './onnx_session.mjs';

/**
 * @param {object} options
 * @param {number} options.threads
 * @param {'fused' | 'decomposed'} options.graph
 * @param {{ wasm: string, mjs: string }} options.files in a page, where its files are; in Node it knows
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
