// Internals for tests/webgpu: kernels and layers with a strategy, features and limits of the test's choice,
// and the scheduler with made-up times. Built into build/for_tests/webgpu.js, which is not part of the
// package.
export { recordAttention, recordSoftmax, scoresMatrix } from './attention';
export { callSizes, maskBits } from './call';
export { type Calibration, Observations, predict } from './cost_model';
export { DeviceError } from '../package/errors';
export { Device } from './device';
export { DeviceManager, requestDevice } from './device_manager';
export { GpuLayer } from './gpu_layer';
export { channelSumsKernel } from './kernels/channel_sums';
export { flashKernel } from './kernels/flash_attention';
export { headNormKernel, headNormWorkgroup } from './kernels/head_norm';
export { multiplyKernel } from './kernels/multiply';
export { packHalvesKernel, packWidth, packWorkgroup } from './kernels/pack_halves';
export { deltaKernel, softmaxGradientKernel, softmaxKernel, softmaxWorkgroup } from './kernels/softmax';
export { expandTemplate } from './kernels/template';
export { tokenSumKernel } from './kernels/token_sums';
export { multiply, possibleTilings } from './matrix';
export { ParameterBuffers, Recorder } from './recorder';
export { decisionText, Scheduler } from './scheduler';
export { Scratch } from './scratch';
