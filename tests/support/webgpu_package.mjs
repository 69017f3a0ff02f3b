// Exports the built package with WebGPU. Import it before other modules that import the package, because only
// the first call of init selects the device.
import assert from 'node:assert/strict';
import { init } from 'diffusion-cross-attention';
import { initOptions } from './variant.mjs';
import { installNavigatorGpu } from './webgpu.mjs';

export * from 'diffusion-cross-attention';

/** The devices of the package, the latest one last. */
export const devices = [];
installNavigatorGpu({ onDevice: (device) => devices.push(device) });

export const runtimeInfo = await init({ ...initOptions, device: 'webgpu' });
assert.equal(runtimeInfo.device, 'webgpu', runtimeInfo.webgpu);
