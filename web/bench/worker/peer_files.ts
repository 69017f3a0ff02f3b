/** Where this site keeps what the contenders load themselves. The bundler sees to it that the files are there. */
import onnxruntimeModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import onnxruntimeWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import tensorflowWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import tensorflowSimdWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import tensorflowThreadsWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import baselineCeiling from '../../../build/wasm-baseline/bench/ceiling/cross_attention_ceiling.wasm?url';
import relaxedCeiling from '../../../build/wasm-relaxed/bench/ceiling/cross_attention_ceiling.wasm?url';

/** The microkernel alone, by SIMD level. Imported by name, so that a page waits for a build that is still running. */
const CEILINGS: Record<string, string> = { relaxed: relaxedCeiling, baseline: baselineCeiling };

/** By the names that each contender takes. */
const FILES: Record<string, Record<string, string>> = {
  onnxruntime_web: { mjs: onnxruntimeModule, wasm: onnxruntimeWasm },
  tensorflow: {
    'tfjs-backend-wasm.wasm': tensorflowWasm,
    'tfjs-backend-wasm-simd.wasm': tensorflowSimdWasm,
    'tfjs-backend-wasm-threaded-simd.wasm': tensorflowThreadsWasm,
  },
};

/** Absolute: a contender resolves them from wherever its own script lies. Undefined where it needs none. */
export function filesOf(contenderName: string): Record<string, string> | undefined {
  const files = FILES[contenderName];
  return files && Object.fromEntries(Object.entries(files).map(([name, url]) => [name, absolute(url)]));
}

/** The .wasm of the microkernel alone; null if there is none for this SIMD level. */
export async function ceilingBytes(simd: string): Promise<Uint8Array | null> {
  const url = CEILINGS[simd];
  if (url === undefined) return null;
  const response = await fetch(absolute(url));
  if (!response.ok) throw new Error(`the microkernel's ceiling: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

const absolute = (url: string): string => new URL(url, import.meta.url).href;
