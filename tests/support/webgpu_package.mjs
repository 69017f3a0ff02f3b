// The built package with WebGPU in use: to be imported before anything else that imports the package, for its first init
// is the one that counts.
import assert from 'node:assert/strict';
import { init } from 'diffusion-cross-attention';
import { initOptions } from './variant.mjs';
import { installNavigatorGpu } from './webgpu.mjs';

export * from 'diffusion-cross-attention';

/** The devices that the package has got, the last one at the end. */
export const devices = [];
installNavigatorGpu({ onDevice: (device) => devices.push(device) });

export const runtimeInfo = await init({ ...initOptions, device: 'webgpu' });
assert.equal(runtimeInfo.device, 'webgpu', runtimeInfo.webgpu);
