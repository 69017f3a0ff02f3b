// A program for pages: it passes objects of the DOM.
import { init, Tensor } from 'diffusion-cross-attention';

export async function onGpu(device: GPUDevice, buffer: GPUBuffer): Promise<GPUBuffer | null> {
  await init({ wasmBaseUrl: new URL('wasm/', document.baseURI), gpuDevice: device });
  const tensor: Tensor = Tensor.fromGpuBuffer(buffer, [4]);
  return tensor.gpuBuffer;
}

export async function refuses(): Promise<void> {
  // @ts-expect-error A number is no URL.
  await init({ wasmBaseUrl: 5 });
  // @ts-expect-error Neither is a Blob.
  await init({ wasmBaseUrl: new Blob() });
  // @ts-expect-error A buffer is no device.
  await init({ gpuDevice: await onGpu({} as GPUDevice, {} as GPUBuffer) });
}
