// ONNX Runtime Web on WebGPU, configured as its documentation recommends: all graph optimisations, inputs and
// outputs in buffers on the device. See webgpu/contenders.mjs.
import * as ort from 'onnxruntime-web/webgpu';
import { createSession } from './onnx_session.mjs';

const sessionOptions = { executionProviders: ['webgpu'], preferredOutputLocation: 'gpu-buffer' };

/**
 * @param {object} options
 * @param {'fused' | 'decomposed'} options.graph
 * @param {{ wasm: string, mjs: string }} options.files addresses of the runtime's files
 */
export async function start({ graph, files }) {
  // Its work on the CPU needs no threads.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = files;
  return {
    /** The runtime creates its device with the first session. */
    getDevice: () => ort.env.webgpu.device,
    prepare: (shape) => prepare({ fused: graph === 'fused' }, shape),
  };
}

async function prepare(graph, shape) {
  const { session, data, contexts, contextShape } = await createSession(ort, sessionOptions, graph, shape, 0);
  const device = await ort.env.webgpu.device;
  const makeBuffer = ({ byteLength }) =>
    device.createBuffer({
      size: byteLength,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  const tensorOf = (gpuBuffer, dims) => ort.Tensor.fromGpuBuffer(gpuBuffer, { dataType: 'float32', dims });
  const inputBuffer = makeBuffer(data.input);
  const contextBuffers = contexts.map((values) => {
    const buffer = makeBuffer(values);
    device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  });
  const contextTensors = contextBuffers.map((buffer) => tensorOf(buffer, contextShape));
  let calls = 0;
  return {
    upload() {
      device.queue.writeBuffer(inputBuffer, 0, data.input);
      return tensorOf(inputBuffer, data.imageShape);
    },
    async compute(input) {
      const context = contextTensors[calls++ % contextTensors.length];
      return (await session.run({ input, context })).output;
    },
    read: (output) => output.getData(),
    /**
     * Returns the buffer of an output to the runtime. The buffer of the input belongs to this module and
     * remains.
     */
    release: (tensor) => tensor.dispose(),
    async dispose() {
      await session.release();
      for (const buffer of [inputBuffer, ...contextBuffers]) buffer.destroy();
    },
  };
}
