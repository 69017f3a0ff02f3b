import type { RuntimeInfo } from 'diffusion-cross-attention';
import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';

const SIMD_TEXT = {
  relaxed: 'relaxed (fused multiply-add)',
  baseline: 'baseline (this browser has no relaxed SIMD)',
};

/** Says which variant of the package runs, and what stands in the way of a faster one. */
export function showRuntime({ runtime, isolated }: { runtime: RuntimeInfo; isolated: boolean }): void {
  write('runtime-version', runtime.version);
  write('runtime-device', runtime.device === 'wasm' ? 'CPU, WebAssembly' : 'GPU, WebGPU', runtime.device);
  write('runtime-simd', SIMD_TEXT[runtime.simd], runtime.simd);
  write('runtime-threads', String(runtime.threads));
  write('runtime-webgpu', runtime.webgpu);
  write('runtime-isolation', isolationText(isolated), String(isolated));
}

function write(id: string, text: string, value = text): void {
  const place = element(id, HTMLElement);
  place.textContent = text;
  place.dataset['value'] = value;
}
