// The denoiser with WebGPU in Node: a model in which every parameter has a gradient, small enough to be
// trained on a software adapter.
import { Denoiser, editFile } from './denoiser.mjs';
import { normalArray } from '../../support/random.mjs';
import { installNavigatorGpu } from './webgpu.mjs';

export * from './denoiser.mjs';

/** The devices of the package, the latest one last. */
export const devices = [];
export const install = (options = {}) =>
  installNavigatorGpu({ onDevice: (device) => devices.push(device), ...options });
install();

const options = {
  imageSize: 8,
  pixelFeatures: 4,
  pixelBlocks: 1,
  patch: 2,
  features: 16,
  blocks: 2,
  heads: 2,
  textFeatures: 8,
  textBlocks: 1,
  textHeads: 1,
  seed: 1,
};

/**
 * Returns a file in which random numbers replace the weights that start as zeros, since zeros stop all
 * gradients.
 */
function file(changes) {
  const model = Denoiser.create({ ...options, ...changes });
  try {
    let seed = 1;
    return editFile(model.save({ dtype: 'float32' }), (name, tensor) => {
      ++seed;
      if (tensor.values.some((value) => value !== 0)) return tensor;
      return { ...tensor, values: normalArray(tensor.values.length, seed, { deviation: 0.1 }) };
    });
  } finally {
    model.dispose();
  }
}
const cachedFile = file();

/** Returns a tiny model. `own`: see scoped in cases.mjs. `changes`: options that differ from the default. */
export const tinyModel = (own, changes = null) =>
  own(Denoiser.load(changes === null ? cachedFile : file(changes)));
