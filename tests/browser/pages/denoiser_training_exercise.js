// The same steps of the same seed by WebGPU and in WebAssembly.
import { Denoiser, init, memoryInUse } from '../../../dist/denoiser.js';
import { watchGpu } from './webgpu_hooks.js';

/** So small that a processor which plays a card takes steps with it. */
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
  const [wasm, onCard] = models.map((model) => model.trainer({ seed: 5, batch: 2 }));
  const training = await onCard.onWebGPU();
  const { description } = training;
  const expected = Array.from({ length: steps }, () => wasm.step(rate).loss);
  const asked = Array.from({ length: steps }, () => training.step(rate));
  const found = (await Promise.all(asked)).map(({ loss }) => loss);
  await training.synchronize();
  training.dispose();
  // The denoiser has learned, and goes on without the card.
  const next = [wasm, onCard].map((trainer) => trainer.step(rate));
  const sampler = models[1].sampler({ prompt: 'a red circle', steps: 2 });
  while (sampler.advance());
  const isFinite = sampler.picture().every(Number.isFinite);
  for (const owned of [sampler, wasm, onCard, ...models]) owned.dispose();
  const left = { buffers: gpu.live.size, memoryInUse: memoryInUse() };
  return { runtime, description, expected, found, next, isFinite, left, devices: gpu.devices.length };
}
