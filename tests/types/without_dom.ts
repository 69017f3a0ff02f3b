// A program for Node that compiles without the DOM library, which declares the types of WebGPU.
import { DiffusionCrossAttention, init, Tensor, WeightFile } from '../../dist/index.js';

await init({ device: 'webgpu' });
const input = await Tensor.zeros([1, 4, 8]).to('webgpu');
const layer = new DiffusionCrossAttention(8, 8, 2);
export const output = await layer.forwardAsync(input, null, { device: 'auto', location: 'wasm' });
export const buffer: unknown = input.gpuBuffer;
const file = await WeightFile.open('unet.safetensors', { timeout: 1000 });
export const result = await layer.loadWeightsFrom(file);
