/** URLs of the files that contenders load themselves. The bundler adds the files to the site. */
import onnxruntimeModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import onnxruntimeWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import tensorflowWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import tensorflowSimdWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import tensorflowThreaded from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import baselineCeiling from '../../../build/wasm-baseline/bench/ceiling/cross_attention_ceiling.wasm?url';
import relaxedCeiling from '../../../build/wasm-relaxed/bench/ceiling/cross_attention_ceiling.wasm?url';

/** The microkernel alone, by SIMD level. Imported by name, so that a page waits for a running build. */
const ceilingUrls: Record<string, string> = { relaxed: relaxedCeiling, baseline: baselineCeiling };

/** By contender and by the file name that it expects. */
const fileUrls: Record<string, Record<string, string>> = {
  onnxruntime_web: { mjs: onnxruntimeModule, wasm: onnxruntimeWasm },
  tensorflow: {
    'tfjs-backend-wasm.wasm': tensorflowWasm,
    'tfjs-backend-wasm-simd.wasm': tensorflowSimdWasm,
    'tfjs-backend-wasm-threaded-simd.wasm': tensorflowThreaded,
  },
};

/**
 * Returns absolute URLs, because contenders resolve URLs relative to their scripts. Returns undefined if the
 * contender needs no files.
 */
export function filesOf(contenderName: string): Record<string, string> | undefined {
  const files = fileUrls[contenderName];
  return files && Object.fromEntries(Object.entries(files).map(([name, url]) => [name, absolute(url)]));
}

/** The .wasm of the microkernel alone; null if there is none for this SIMD level. */
export async function ceilingBytes(simd: string): Promise<Uint8Array | null> {
  const url = ceilingUrls[simd];
  if (url === undefined) return null;
  const response = await fetch(absolute(url));
  if (!response.ok) {
    throw new Error(`the download of the microkernel failed: ${response.status} ${response.statusText}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

const absolute = (url: string): string => new URL(url, import.meta.url).href;
