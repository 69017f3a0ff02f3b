// This package on WebGPU. See webgpu/contenders.mjs.
import { init, synchronize, Tensor } from 'diffusion-cross-attention';
import { makeLayerData } from '../layer_data.mjs';
import { makeLayer } from './cross_attention.mjs';

export async function start() {
  const { device, webgpu } = await init({ device: 'webgpu' });
  if (device !== 'webgpu') throw new Error(`device is '${device}'; expected 'webgpu' (${webgpu})`);
  // The package does not expose its device.
  return { getDevice: () => null, synchronize, prepare };
}

/** Copies a typed array to the device, as all other contenders do. */
async function upload(values, shape) {
  const onCpu = Tensor.from(values, shape);
  const onGpu = await onCpu.to('webgpu');
  onCpu.dispose();
  return onGpu;
}

async function prepare(shape) {
  const data = makeLayerData(shape, 'float32');
  const layer = makeLayer(shape, 'float32', data.parameters);
  const contexts = [];
  for (const values of data.contexts ?? []) contexts.push(await upload(values, data.contextShape));
  let calls = 0;
  const nextContext = () => contexts[calls++ % contexts.length] ?? null;
  return {
    upload: () => upload(data.input, data.imageShape),
    compute: (image) => layer.forwardAsync(image, nextContext(), { device: 'webgpu' }),
    read: (output) => output.dataAsync(),
    release: (tensor) => tensor.dispose(),
    dispose() {
      for (const owned of [layer, ...contexts]) owned.dispose();
    },
  };
}
