// Operators of the tape for tests/webgpu. Built into build/for_tests/denoiser_webgpu.js, which is not part of the package.
export { Device } from '../device';
export { possibleTilings } from '../matrix';
export { ParameterBuffers, Recorder } from '../recorder';
export { learnPicture, learnPlaces, unknown } from './loss';
export { activate } from './operators/activation';
export { attend } from './operators/attention';
export { convolution, depthwiseConvolution } from './operators/convolution';
export { embed } from './operators/embedding';
export { layerNorm } from './operators/layer_norm';
export { linear } from './operators/linear';
export { gatedSum, modulate } from './operators/modulation';
export { fromPatches, toPatches } from './operators/patches';
export { sum, sumShared } from './operators/sums';
export { Tape } from './tape';
export { recordTotal } from './totals';
