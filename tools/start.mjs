// npm start: serves the demo site on this machine. Builds the variant that current browsers choose, serves
// the pages, and builds the other variants in the background.
import path from 'node:path';
import { buildDist, prepareBuild } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { PendingBuilds } from './lib/pending_builds.mjs';
import { project } from './lib/paths.mjs';
import { bold, main, step } from './lib/steps.mjs';
import { buildWasm, isBuilt, variantFiles, variants } from './lib/wasm.mjs';

export const command = {
  name: 'npm start',
  summary:
    'Serves the demo site on this machine: text to image, paint by attention, the benchmark. Installs ' +
    'missing tools and builds the package. WebAssembly variants that current browsers do not choose are ' +
    'built in the background.',
  options: {
    port: {
      type: 'integer',
      min: 1,
      max: 65535,
      default: 5173,
      description: 'Port of the server. If it is in use, the next free port.',
    },
    'no-open': { type: 'boolean', description: 'Does not open a browser window.' },
  },
  examples: [
    ['', 'Serves the site and opens it in the browser.'],
    ['--port 8080 --no-open', 'Serves the site at port 8080 and opens no window.'],
  ],
};

/** Chromium, Firefox and current Safari choose the first variant on pages with shared memory. */
const [chosen, ...others] = variants;

async function start({ port, 'no-open': noOpen }) {
  const emscripten = await prepareBuild();
  await buildDist({ only: [chosen], emscripten });
  const builds = new PendingBuilds();
  const rest = buildInBackground(emscripten, builds);
  let server;
  await step('site', async () => {
    const { createServer } = await import('vite');
    server = await createServer({
      configFile: path.join(project, 'web/vite.config.ts'),
      logLevel: 'warn',
      plugins: [builds.plugin()],
      server: { port },
    });
    await server.listen();
  });
  const address = server.resolvedUrls.local[0];
  console.log(
    `\n  Text to image:      ${bold(address)}` +
      `\n  Paint by attention: ${bold(`${address}paint/`)}` +
      `\n  Benchmark:          ${bold(`${address}bench.html`)}\n\n  Press Ctrl+C to stop the server.\n`,
  );
  const hasDesktop = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (hasDesktop && !process.env.CI && !noOpen) {
    const { default: open } = await import('open');
    await open(address);
  }
  if (await rest()) console.log('  All variants are built.');
}

/**
 * Registers the variants that are not up to date. Returns a function that builds them in sequence. It
 * resolves to true if there was at least one and all builds succeeded.
 */
function buildInBackground(emscripten, builds) {
  const missing = others.filter((variant) => !isBuilt(emscripten, variant));
  const works = missing.map((variant) => {
    let settle;
    const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
    // buildWasm's failure is printed below; `builds` notifies the pages.
    promise.catch(() => {});
    builds.add(`the WebAssembly variant ${variant}`, variantFiles(variant), promise);
    return { variant, ...settle };
  });
  return async () => {
    let failures = 0;
    for (const { variant, resolve, reject } of works) {
      await buildWasm(emscripten, variant).then(resolve, (error) => {
        failures += 1;
        console.error(error.message);
        reject(error);
      });
    }
    return works.length > 0 && failures === 0;
  };
}

if (process.argv[1] === import.meta.filename) {
  const options = readCommandLine(command);
  await main(() => start(options));
}
