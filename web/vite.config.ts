/**
 * The site: one folder a page, built into build/site. `vite web` serves it for development and
 * `vite build web` makes it static; either way the package is taken from dist/, as a user would have it.
 */
import { fileURLToPath } from 'node:url';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';
import { isolationWorker } from './plugins/isolation_worker';
import { siteHeader } from './plugins/site_header';

/** Without these two, a browser withholds SharedArrayBuffer, and the package runs on one thread. */
const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** The package runs in Node, too, and asks for these there only: nothing to bundle, and nothing to warn about. */
const external = /^node:/;

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * TensorFlow.js hands the text of one of its functions to its threads. The function guards itself against a variable that
 * is not there; minifiers see that it is, here, and take the guard away (its README: "JS Minification"). What it guards,
 * the script's folder, nobody needs: this site says where the files are.
 */
const tensorflowThreads: Plugin = {
  name: 'tensorflow-threads',
  transform: (code, id) =>
    id.endsWith('/tfjs-backend-wasm-threaded-simd.js')
      ? code.replaceAll('typeof _scriptDir !== "undefined" && _scriptDir', 'false')
      : null,
};

export default defineConfig({
  root: here('.'),
  // Relative, so that the built site works under any path of any static host.
  base: './',
  plugins: [siteHeader, isolationWorker],
  resolve: {
    // The longer name first: the shorter one would take its beginning.
    alias: {
      'diffusion-cross-attention/denoiser': here('../dist/denoiser.js'),
      'diffusion-cross-attention': here('../dist/index.js'),
    },
    // ONNX Runtime's .wasm is a file by itself, not text inside of a script.
    conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions],
  },
  optimizeDeps: {
    // The package loads its own files relative to itself; pre-bundling would move it away from them.
    exclude: ['diffusion-cross-attention', 'diffusion-cross-attention/denoiser'],
    // All that pages and their workers will ask for: what is found later reloads the page, in the middle of whatever it does.
    entries: ['**/*.html', '**/*.worker.ts'],
    // Those that package.json's "imports" stand for are not found so.
    include: ['onnxruntime-web/wasm', '@tensorflow/tfjs-core/dist/register_all_gradients'],
  },
  server: { headers: isolationHeaders, fs: { allow: [here('..')] } },
  preview: { headers: isolationHeaders },
  worker: { format: 'es', rollupOptions: { external }, plugins: () => [tensorflowThreads] },
  build: {
    outDir: here('../build/site'),
    emptyOutDir: true,
    target: 'es2022',
    rollupOptions: {
      external,
      input: {
        start: here('index.html'),
        create: here('create/index.html'),
        paint: here('paint/index.html'),
        bench: here('bench.html'),
      },
    },
  },
});
