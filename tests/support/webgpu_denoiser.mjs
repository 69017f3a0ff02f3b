// The denoiser with WebGPU in Node: a model whose every parameter has a gradient, so small that a processor which plays a
// card takes steps with it.
import { Denoiser, editFile } from './denoiser.mjs';
import { normalArray } from '../../support/random.mjs';
import { installNavigatorGpu } from './webgpu.mjs';

export * from './denoiser.mjs';

/** The devices that the package has got, the last one at the end. */
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

/** What begins with zeros, and lets no gradient pass before it has learned something, has random numbers here. */
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

/** `own`: see scoped of cases.mjs. `changes`: of its options. */
export const tinyModel = (own, changes = null) =>
  own(Denoiser.load(changes === null ? cachedFile : file(changes)));
