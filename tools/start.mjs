// npm start: the demo site on this machine. Builds the variant that the browser of this machine will choose, serves the
// pages, and builds the other variants in the background.
import path from 'node:path';
import { buildDist, buildWasm, isBuilt, prepareBuild, variantFiles, variants } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { PendingBuilds } from './lib/pending_builds.mjs';
import { project } from './lib/paths.mjs';
import { bold, main, step } from './lib/steps.mjs';

export const command = {
  name: 'npm start',
  summary:
    'Serves the demo site on this machine: text to image, paint by attention, the benchmark. Installs and builds what ' +
    'it needs; other WebAssembly variants than the one that current browsers choose are built in the background.',
  options: {
    port: {
      type: 'integer',
      min: 1,
      max: 65535,
      default: 5173,
      description: 'Port of the server; the next free one if it is in use.',
    },
    'no-open': { type: 'boolean', description: 'Opens no browser window.' },
  },
  examples: [
    ['', 'Serves the site and opens it in the browser.'],
    ['--port 8080 --no-open', 'Serves it at port 8080 and opens nothing.'],
  ],
};

/** Chromium, Firefox and current Safari on pages with shared memory choose the first variant. */
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
    `\n  ${bold('Text to image')} is at ${bold(address)}` +
      `\n  Paint by attention at ${bold(`${address}paint/`)}` +
      `\n  the benchmark at ${bold(`${address}bench.html`)}\n  Ctrl+C ends it.\n`,
  );
  const hasDesktop = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (hasDesktop && !process.env.CI && !noOpen) {
    const { default: open } = await import('open');
    await open(address);
  }
  if (await rest()) console.log('  All variants are built.');
}

/**
 * Registers the variants that are not built yet. Returns a function that builds them, one after another, and resolves to
 * true if there were some and all builds succeeded.
 */
function buildInBackground(emscripten, builds) {
  const missing = others.filter((variant) => !isBuilt(emscripten, variant));
  const works = missing.map((variant) => {
    let settle;
    const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
    // A failure is printed by step; pages hear of it.
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
