// TensorFlow.js on WebGPU: all heads in one product. See webgpu/contenders.mjs.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { prepareLayer } from './tensorflow_layer.mjs';

export async function start() {
  if (!(await tf.setBackend('webgpu'))) throw new Error('its WebGPU backend does not start');
  const backend = tf.backend();
  return { getDevice: () => backend.device, prepare: (shape) => prepare(backend, shape) };
}

/** It collects commands, and submits some of them when there are enough. */
function submit(backend) {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
}

function prepare(backend, shape) {
  const { resident, ...layer } = prepareLayer({ headsApart: false }, shape, 'float32', 'forward', 0).inParts;
  // Else it would upload what it has from us at the first use.
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
