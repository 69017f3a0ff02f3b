// ONNX Runtime for Node: native code with all SIMD instructions of the machine (AVX-512 if available),
// standard operators.
import ort from 'onnxruntime-node';
import { prepareSession, supports } from './onnx_session.mjs';

/** @param {{ threads: number }} options */
export async function start({ threads }) {
  const sessionOptions = { intraOpNumThreads: threads, interOpNumThreads: 1 };
  return {
    supports,
    prepare: (shape, _dtype, _task, index) =>
      prepareSession(ort, sessionOptions, { fused: false }, shape, index),
  };
}
