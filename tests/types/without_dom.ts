// A program for Node whose types know no browser, and so no WebGPU.
import { DiffusionCrossAttention, init, Tensor } from '../../dist/index.js';

await init({ device: 'webgpu' });
const input = await Tensor.zeros([1, 4, 8]).to('webgpu');
const layer = new DiffusionCrossAttention(8, 8, 2);
export const output = await layer.forwardAsync(input, null, { device: 'auto', location: 'wasm' });
export const buffer: unknown = input.gpuBuffer;
