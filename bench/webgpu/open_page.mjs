// Bundles the page, serves it and opens it in a Chromium with WebGPU.
import path from 'node:path';
import { build } from 'esbuild';
import { launchChromium } from '../../support/browser/chromium.mjs';
import { webGpuSwitches } from '../../support/browser/webgpu_switches.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';
import { project } from '../../tools/lib/paths.mjs';

/** Returns the addresses of files that contenders load at run time, by their names in contenders.mjs. */
function filesOf(origin) {
  const onnxruntime = `${origin}/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify`;
  const files = { mjs: `${onnxruntime}.mjs`, wasm: `${onnxruntime}.wasm` };
  return { 'onnxruntime-web': files, 'onnxruntime-web-fused': files };
}

const bundle = () =>
  build({
    entryPoints: [path.join(project, 'bench/webgpu/page.mjs')],
    outdir: path.join(project, 'build/bench-webgpu'),
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    // ONNX Runtime loads its .wasm as a file; by default, it is embedded in the script.
    conditions: ['onnxruntime-web-use-extern-wasm', 'module'],
    // This package loads its files relative to its module.
    external: ['diffusion-cross-attention', 'node:*'],
    logLevel: 'error',
  });

/**
 * Opens the page.
 *
 * @typedef {import('playwright-core').Page} Page
 * @param {keyof typeof webGpuSwitches} adapter
 * @param {(progress: object) => void} onProgress
 * @returns {Promise<{ page: Page, version: string, files: object, close: () => Promise }>}
 */
export async function openPage(adapter, onProgress) {
  await bundle();
  const server = await serve(project, isolationHeaders);
  const browser = await launchChromium({ switches: webGpuSwitches[adapter] });
  const close = async () => {
    await browser.close();
    await server.close();
  };
  try {
    const page = await browser.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') console.error(`Error in the page: ${message.text()}`);
    });
    page.on('pageerror', (error) => console.error(`Error in the page: ${error.stack}`));
    await page.exposeFunction('reportProgress', onProgress);
    await page.goto(`${server.origin}/bench/webgpu/page.html`);
    await page.waitForFunction(() => globalThis.benchmark !== undefined);
    return { page, version: browser.version(), files: filesOf(server.origin), close };
  } catch (error) {
    await close();
    throw error;
  }
}
