// Runs the same training steps with the same seed on WebGPU and in WebAssembly.
import { Denoiser, init, memoryInUse } from '../../../dist/denoiser.js';
import { watchGpu } from './webgpu_hooks.js';

/** Small enough for the software adapter. */
const modelOptions = {
  imageSize: 8,
  pixelFeatures: 4,
  patch: 2,
  features: 16,
  blocks: 1,
  heads: 2,
  textFeatures: 8,
  textBlocks: 1,
  textHeads: 1,
};
const rate = 0.003;

export async function exercise({ steps }) {
  const gpu = watchGpu();
  const runtime = await init();
  const models = [Denoiser.create(modelOptions), Denoiser.create(modelOptions)];
  const [wasm, onGpu] = models.map((model) => model.trainer({ seed: 5, batch: 2 }));
  const training = await onGpu.onWebGPU();
  const { description } = training;
  const expected = Array.from({ length: steps }, () => wasm.step(rate).loss);
  const pending = Array.from({ length: steps }, () => training.step(rate));
  const found = (await Promise.all(pending)).map(({ loss }) => loss);
  await training.synchronize();
  training.dispose();
  // The training continues in WebAssembly with the weights from the GPU.
  const next = [wasm, onGpu].map((trainer) => trainer.step(rate));
  const sampler = models[1].sampler({ prompt: 'a red circle', steps: 2 });
  while (sampler.advance());
  const isFinite = sampler.picture().every(Number.isFinite);
  for (const owned of [sampler, wasm, onGpu, ...models]) owned.dispose();
  const remaining = { buffers: gpu.live.size, memoryInUse: memoryInUse() };
  return { runtime, description, expected, found, next, isFinite, remaining, devices: gpu.devices.length };
}
