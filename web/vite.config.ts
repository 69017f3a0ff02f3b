/**
 * The site: one folder per page, built into build/site. `vite web` serves it for development and
 * `vite build web` builds static files. Both use the package from dist/, as users do.
 */
import { fileURLToPath } from 'node:url';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';
import { isolationWorker } from './plugins/isolation_worker.ts';
import { siteHeader } from './plugins/site_header.ts';

/** Without these headers, browsers disable SharedArrayBuffer, and the package runs on one thread. */
const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * TensorFlow.js passes the source text of one of its functions to its threads. The function checks whether a
 * variable exists; minifiers remove this check, because the variable exists where the function is defined
 * (see "JS Minification" in its README). The variable is the script's folder, which is not needed: this site
 * sets the URLs of the files.
 */
const tensorflowThreads: Plugin = {
  name: 'tensorflow-threads',
  transform: (code, id) =>
    id.endsWith('/tfjs-backend-wasm-threaded-simd.js')
      ? code.replaceAll('typeof _scriptDir !== "undefined" && _scriptDir', 'false')
      : null,
};

/**
 * Not the setting server.headers: Vite leaves it out of responses 304, which WebKit then refuses to workers.
 */
const isolation: Plugin = {
  name: 'isolation',
  configureServer: ({ middlewares }) =>
    void middlewares.use((_request, response, next) => {
      for (const [name, value] of Object.entries(isolationHeaders)) response.setHeader(name, value);
      next();
    }),
};

/** No remarks on the time that plugins take. */
const checks = { bundlerTimings: false };

/** The newest syntax that pages contain. WebKit and Firefox before 141 have no `using`. */
const target = 'es2022';

export default defineConfig({
  root: here('.'),
  // The development server's; its default is esnext.
  oxc: { target },
  // Relative, so that the built site works under any path of a static host.
  base: './',
  plugins: [siteHeader, isolationWorker, isolation],
  resolve: {
    // The longer name must come first, because the shorter one is a prefix of it.
    alias: {
      'diffusion-cross-attention/denoiser': here('../dist/denoiser_browser.js'),
      'diffusion-cross-attention': here('../dist/index_browser.js'),
    },
    // ONNX Runtime's .wasm is a separate file, not a string in a script.
    conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions],
  },
  optimizeDeps: {
    // The package loads files relative to its own URL, which pre-bundling would change.
    exclude: ['diffusion-cross-attention', 'diffusion-cross-attention/denoiser'],
    // All pages and workers. A dependency that is found later would reload the page while it is in use.
    entries: ['**/*.html', '**/*.worker.ts'],
    // Dependencies behind the "imports" of package.json are not found in the entries.
    include: ['onnxruntime-web/wasm', '@tensorflow/tfjs-core/dist/register_all_gradients'],
  },
  server: { fs: { allow: [here('..')] } },
  preview: { headers: isolationHeaders },
  worker: { format: 'es', plugins: () => [tensorflowThreads], rollupOptions: { checks } },
  build: {
    outDir: here('../build/site'),
    emptyOutDir: true,
    target,
    rollupOptions: {
      checks,
      input: {
        start: here('index.html'),
        create: here('create/index.html'),
        paint: here('paint/index.html'),
        bench: here('bench.html'),
      },
    },
  },
});
