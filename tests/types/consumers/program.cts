// A CommonJS program, which imports the package dynamically.
import type { Tensor } from 'diffusion-cross-attention' with { 'resolution-mode': 'import' };

async function sum(values: number[]): Promise<number> {
  const { init, Tensor } = await import('diffusion-cross-attention');
  const { fromOnnx } = await import('diffusion-cross-attention/onnx');
  const { Denoiser } = await import('diffusion-cross-attention/denoiser');
  const info = await init();
  const tensor: Tensor = Tensor.from(values, [values.length]);
  const threads: number = info.threads;
  // @ts-expect-error The result is an array of layers, not `any`.
  const layers: number = fromOnnx(new Uint8Array());
  // @ts-expect-error The result is a Denoiser, not `any`.
  const model: number = Denoiser.create();
  let total = threads + layers + model;
  for (const value of tensor.data()) total += value;
  return total;
}

module.exports = { sum };
declare const module: { exports: unknown };
