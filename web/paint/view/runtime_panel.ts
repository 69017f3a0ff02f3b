import type { RuntimeInfo } from 'diffusion-cross-attention';
import { element } from '../../shared/element';
import { isolationText } from '../../shared/isolation';
import { simdDescriptions } from '../../shared/simd_descriptions';

/** Shows which variant of the package runs, and why no faster one does. */
export function showRuntime({ runtime, isolated }: { runtime: RuntimeInfo; isolated: boolean }): void {
  write('runtime-version', runtime.version);
  write('runtime-device', runtime.device === 'wasm' ? 'CPU, WebAssembly' : 'GPU, WebGPU', runtime.device);
  write('runtime-simd', simdDescriptions[runtime.simd], runtime.simd);
  write('runtime-threads', String(runtime.threads));
  write('runtime-webgpu', runtime.webgpu);
  write('runtime-isolation', isolationText(isolated), String(isolated));
}

function write(id: string, text: string, value = text): void {
  const output = element(id, HTMLElement);
  output.textContent = text;
  output.dataset['value'] = value;
}
