/** Where this site keeps what the contenders load themselves. The bundler sees to it that the files are there. */
import onnxruntimeModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import onnxruntimeWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import tensorflowWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import tensorflowSimdWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import tensorflowThreadsWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';

/** The microkernels by themselves; none where the project was built without them. */
const ceilings = import.meta.glob<string>(
  '../../../build/wasm-*/bench/ceiling/cross_attention_ceiling.wasm',
  {
    query: '?url',
    import: 'default',
    eager: true,
  },
);

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

/** The .wasm of the microkernel by itself; null where this site has none. */
export async function ceilingBytes(simd: string): Promise<Uint8Array | null> {
  const url = Object.entries(ceilings).find(([path]) => path.includes(`/wasm-${simd}/`))?.[1];
  if (url === undefined) return null;
  const response = await fetch(absolute(url));
  if (!response.ok) throw new Error(`the microkernel's ceiling: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

const absolute = (url: string): string => new URL(url, import.meta.url).href;
