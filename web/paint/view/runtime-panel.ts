import type { RuntimeInfo } from 'diffusion-cross-attention';
import { element } from '../../shared/element.ts';

const SIMD_TEXT = {
  relaxed: 'relaxed (fused multiply-add)',
  baseline: 'baseline (this browser has no relaxed SIMD)',
};

/** Says which variant of the package runs, and what stands in the way of a faster one. */
export function showRuntime({ runtime, isolated }: { runtime: RuntimeInfo; isolated: boolean }): void {
  write('runtime-version', runtime.version);
  write('runtime-device', runtime.device === 'wasm' ? 'CPU, WebAssembly' : `WebGPU, ${runtime.webgpu}`);
  write('runtime-simd', SIMD_TEXT[runtime.simd], runtime.simd);
  write('runtime-threads', String(runtime.threads));
  write('runtime-isolation', isolationText(isolated), String(isolated));
}

function isolationText(isolated: boolean): string {
  if (isolated) return 'cross-origin isolated, so memory can be shared between threads';
  if (!window.isSecureContext)
    return 'none, because the page came neither over HTTPS nor from this machine; one thread only';
  return (
    'none: the server did not send the headers Cross-Origin-Opener-Policy: same-origin and ' +
    'Cross-Origin-Embedder-Policy: require-corp; one thread only'
  );
}

function write(id: string, text: string, value = text): void {
  const place = element(id, HTMLElement);
  place.textContent = text;
  place.dataset['value'] = value;
}
