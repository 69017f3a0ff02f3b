/**
 * The site: one folder a page, built into build/site. `vite web` serves it for development and
 * `vite build web` makes it static; either way the package is taken from dist/, as a user would have it.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** Without these two, a browser withholds SharedArrayBuffer, and the package runs on one thread. */
const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** The package runs in Node, too, and asks for these there only: nothing to bundle, and nothing to warn about. */
const external = /^node:/;

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('.'),
  // Relative, so that the built site works under any path of any static host.
  base: './',
  resolve: { alias: { 'diffusion-cross-attention': here('../dist/index.js') } },
  // The package loads its own files relative to itself; pre-bundling would move it away from them.
  optimizeDeps: { exclude: ['diffusion-cross-attention'], include: ['uplot'] },
  server: { headers: isolationHeaders, fs: { allow: [here('..')] } },
  preview: { headers: isolationHeaders },
  worker: { format: 'es', rollupOptions: { external } },
  build: {
    outDir: here('../build/site'),
    emptyOutDir: true,
    target: 'es2022',
    rollupOptions: { external, input: { start: here('index.html'), paint: here('paint/index.html') } },
  },
});
