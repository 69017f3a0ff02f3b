/**
 * The rooms of this folder one by one, for the project's own tests: kernels and layers with a strategy, features and limits
 * of the test's choice, and the scheduler with times that are made up. No part of the package's interface.
 *
 * @packageDocumentation
 */
export { recordAttention, recordSoftmax, scoresMatrix } from './attention';
export { checkCall, maskBits } from './call';
export { type Calibration, Observations, predict } from './cost_model';
export { DeviceError } from '../package/errors';
export { Device } from './device';
export { DeviceKeeper, requestDevice } from './device_keeper';
export { GpuLayer } from './gpu_layer';
export { channelSumsKernel } from './kernels/channel_sums';
export { packHalvesKernel, packWidth, packWorkgroup } from './kernels/pack_halves';
export { deltaKernel, softmaxGradientKernel, softmaxGradientWorkgroup } from './kernels/softmax_gradient';
export { multiply, possibleTilings } from './matrix';
export { ParameterBuffers, Recorder } from './recorder';
export { decisionText, Scheduler } from './scheduler';
export { Scratch } from './scratch';
