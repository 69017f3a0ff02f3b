// TensorFlow.js on WebGPU: one batched product for all heads. See webgpu/contenders.mjs.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { prepareLayer } from './tensorflow_layer.mjs';

export async function start() {
  if (!(await tf.setBackend('webgpu'))) throw new Error('the WebGPU backend did not start');
  const backend = tf.backend();
  return { getDevice: () => backend.device, prepare: (shape) => prepare(backend, shape) };
}

/** Submits all recorded commands. By default, the backend submits only when it has recorded enough. */
function submit(backend) {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
}

function prepare(backend, shape) {
  const { resident, ...layer } = prepareLayer({ headByHead: false }, shape, 'float32', 'forward', 0).phases;
  // By default, the backend uploads a tensor at its first use.
  for (const { dataId } of resident) backend.uploadToGPU(dataId);
  return {
    ...layer,
    upload() {
      const image = layer.upload();
      backend.uploadToGPU(image.dataId);
      submit(backend);
      return image;
    },
    compute(image) {
      const output = layer.compute(image);
      submit(backend);
      return output;
    },
  };
}
