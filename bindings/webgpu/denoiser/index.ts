/**
 * Training of diffusion-cross-attention/denoiser by WebGPU. Loaded by `Trainer.onWebGPU`; nothing of it is called by users.
 *
 * @packageDocumentation
 */
import { fail } from '../../package/checks';
import { CrossAttentionError, DeviceError, isInstance, messageOf } from '../../package/errors';
import type { StartTraining } from '../../package/denoiser/training_on_gpu';
import { withLimit } from '../../package/time_limit';
import { maxCalibration, measureStrategies } from '../calibrate';
import { Device } from '../device';
import { requestDevice } from '../device_manager';
import { startTraining } from './training';

export const start: StartTraining = async (options) => {
  const { gpuDevice } = options;
  const device = gpuDevice === undefined ? await requestDevice() : deviceOf(gpuDevice as GPUDevice);
  if (typeof device === 'string') throw new DeviceError(`there is no WebGPU device: ${device}`);
  const release = (): void => {
    if (gpuDevice === undefined) device.gpu.destroy();
  };
  try {
    const measuring = measureStrategies(device);
    const { strategy } = await withLimit(maxCalibration, 'the measurement did not end', measuring);
    return await startTraining(device, strategy, options, release);
  } catch (error) {
    release();
    throw isInstance(error, CrossAttentionError) ? error : new DeviceError(messageOf(error));
  }
};

/** Throws ArgumentError for an object that only has the methods of a GPUDevice. */
function deviceOf(gpuDevice: GPUDevice): Device {
  try {
    return new Device(gpuDevice);
  } catch {
    return fail('gpuDevice', gpuDevice, 'a GPUDevice');
  }
}
