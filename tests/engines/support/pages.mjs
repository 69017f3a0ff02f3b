// The pages of the browser cases: what is served for each kind of page, worker and frame.
import { readFileSync } from 'node:fs';
import { isolationHeaders } from '../../../support/browser/server.mjs';
import { allEntries, fileOfEntry, runModule, singleFile } from './entries.mjs';

const program = readFileSync(new URL('../program.mjs', import.meta.url), 'utf8');

/** Content-Security-Policies. strict: no eval, no inline scripts, no code of other origins. */
export const policies = {
  strict: "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'",
  noWorkers: "worker-src 'none'",
  ownWorkers: "worker-src 'self'",
};

/** Sends the result of the program, or its error. Every script of a case has it. */
const report = `const post = (body) =>
  fetch('./report', { method: 'POST', body: JSON.stringify(body) });
export async function report(work) {
  try {
    await post({ result: await work() });
  } catch (error) {
    const message = String(error?.message ?? error);
    await post({ error: (error?.code ?? '') + ' ' + message, stack: error?.stack ?? message });
  }
}
export function fail({ message = 'the script could not be loaded' }) {
  return post({ error: message, stack: message });
}
`;

/** Imports the program late, so that an error of an import is reported. */
const runHere = (options) => `import { report } from './report.js';
await report(async () => (await import('./run.js')).run(${JSON.stringify(options)}));
`;

const html = (head, body = '') => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Case</title>${head}</head><body>${body}</body></html>
`;
const script = '<script type="module" src="./main.js"></script>';

/** Starts a worker; its script reports. */
const startWorker = (type) => `import { fail } from './report.js';
const worker = new ${type}('./worker.js', { type: 'module' });
worker.onerror = fail;
`;

/** A service worker runs the program while it is installed: it must not use import(). */
const startServiceWorker = `import { report } from './report.js';
try {
  const registration = await navigator.serviceWorker.register('./worker.js', { type: 'module', scope: './' });
  const worker = registration.installing;
  worker?.addEventListener('statechange', () => {
    if (worker.state === 'activated') registration.unregister();
  });
} catch (error) {
  await report(() => {
    throw error;
  });
}
`;

const serviceWorker = `import { report } from './report.js';
import { run } from './run.js';
import { init } from './package/dist/index_browser.js';
async function runBoth() {
  const error = await init().catch((thrown) => thrown);
  if (error.code !== 'ERR_LOAD' || !error.message.includes('diffusion-cross-attention/single-file')) {
    throw new Error('the main entry does not name the single-file entry: ' + error.message);
  }
  return run();
}
addEventListener('install', (event) => event.waitUntil(report(runBoth)));
`;

/** Values that a page creates, for a package that a frame of it has loaded. */
const otherRealm = `import { report } from './report.js';
const frame = document.querySelector('iframe');
const check = (isTrue, what) => {
  if (!isTrue) throw new Error(what);
};
await report(async () => {
  while (!frame.contentWindow.ready) await new Promise((resolve) => setTimeout(resolve, 20));
  const { entries, run } = await frame.contentWindow.ready;
  const { Tensor, DiffusionCrossAttention } = entries.main;
  const result = await run({ threads: 'auto' });
  check(!(new frame.contentWindow.Float32Array(1) instanceof Float32Array), 'the realms are the same');
  const arrays = [[1, 2, 3, 4], new Float32Array([1, 2, 3, 4]), new Float64Array([1, 2, 3, 4])];
  for (const array of arrays) {
    const tensor = Tensor.from(array, [2, 2]);
    check(tensor.data().join() === '1,2,3,4', 'Tensor.from of ' + array.constructor.name);
    tensor.dispose();
  }
  const layer = new DiffusionCrossAttention(8, 8, 2, 4, { seed: 1 });
  const file = new Uint8Array(layer.saveWeights());
  for (const bytes of [file, file.buffer]) {
    check(layer.loadWeights(bytes).success, 'loadWeights of ' + bytes.constructor.name);
  }
  layer.setParameters(new Float32Array(layer.parameterCount));
  layer.dispose();
  return result;
});
`;

/** Two copies of the package: each works, and an object of one is refused by the other with a reason. */
const twoCopies = `import { report } from './report.js';
await report(async () => {
  const [one, other] = await Promise.all([import('./run.js'), import('./run_copy.js')]);
  const result = await one.run();
  await other.run();
  const layer = new one.entries.main.DiffusionCrossAttention(8, 8, 2, 4);
  const tensor = other.entries.main.Tensor.zeros([2, 8]);
  try {
    layer.forward(tensor);
  } catch (error) {
    if (error.code !== 'ERR_ARGUMENT' || !/copy|copies/.test(error.message)) {
      throw new Error('a tensor of another copy gives a misleading error: ' + error.message);
    }
    return result;
  }
  throw new Error('a layer accepted a tensor of another copy');
});
`;

/** Each wrong option of init is refused with a reason, and init works afterwards. */
const wrongOptions = `import { report } from './report.js';
const threaded = 'cross-attention-baseline-threads';
const bytesOf = async (name) => (await fetch('./package/dist/wasm/' + name + '.wasm')).arrayBuffer();
await report(async () => {
  const { run, entries } = await import('./run.js');
  const wrong = [
    [{ wasmBaseUrl: './there-is-nothing/' }, 'ERR_LOAD', /wasmBaseUrl.*there-is-nothing/],
    [{ wasmBaseUrl: './there-is-nothing/', threads: 1 }, 'ERR_LOAD', /wasmBaseUrl.*there-is-nothing/],
    [{ wasmBinary: new ArrayBuffer(100) }, 'ERR_ARGUMENT', /wasmBinary/],
    [{ wasmBinary: await bytesOf('denoiser-baseline') }, 'ERR_ARGUMENT', /wasmBinary is .*denoiser-baseline/],
    [{ wasmBinary: await bytesOf(threaded), threads: 1 }, 'ERR_ARGUMENT', /threads/],
    [{ wasmBinary: await bytesOf('cross-attention-baseline'), simd: 'relaxed' }, 'ERR_ARGUMENT', /simd/],
  ];
  for (const [options, code, message] of wrong) {
    const error = await entries.main.init(options).then(() => ({}), (thrown) => thrown);
    if (error.code !== code || !message.test(error.message)) {
      throw new Error(code + ' ' + message + ' expected, but init threw ' + error.code + ' ' + error.message);
    }
  }
  return run({ wasmBinary: await bytesOf('cross-attention-baseline-threads') });
});
`;

const polyfills = {
  process: `globalThis.process = {
  title: 'browser', browser: true, env: {}, argv: [], version: '', versions: {}, cwd: () => '/',
  nextTick: (work, ...args) => queueMicrotask(() => work(...args)), on() {}, once() {},
};`,
  renderer: `globalThis.process = {
  type: 'renderer', env: {}, argv: [], platform: 'linux', cwd: () => '/', on() {},
  version: 'v22.0.0', versions: { node: '22.0.0', electron: '35.0.0', chrome: '134.0.0.0' },
};`,
  withoutSharedMemory: 'delete globalThis.SharedArrayBuffer;',
};

/**
 * Returns the site of a case.
 *
 * @param {object} condition
 * @param {string} condition.kind where the program runs: 'page', 'worker', 'shared worker', …
 * @param {boolean} [condition.isolated]
 * @param {string} [condition.policy] a Content-Security-Policy
 * @param {boolean} [condition.importMap] imports the package by its name, through an import map
 * @param {boolean} [condition.other] loads the package from another origin
 * @param {keyof polyfills} [condition.polyfill] a script that runs before the program
 * @param {(otherUrl: string) => object} [condition.options] of init
 * @param {string} otherUrl the site's URL at another origin
 * @param {string} packageFolder
 */
export function siteOf(condition, otherUrl, packageFolder) {
  const { kind, isolated, policy, importMap, other, polyfill, options } = condition;
  const manifest = JSON.parse(readFileSync(`${packageFolder}/package.json`, 'utf8'));
  const base = `${other ? otherUrl : './'}package`;
  const urlOf = (folder) => (specifier) => folder + fileOfEntry(manifest, specifier).slice(1);
  const entries = entriesOf[kind] ?? allEntries;
  const imports = Object.fromEntries(
    Object.values(allEntries).map((specifier) => [specifier, urlOf(base)(specifier)]),
  );
  const map = importMap ? `<script type="importmap">${JSON.stringify({ imports })}</script>` : '';
  const first = polyfill ? '<script src="./polyfill.js"></script>' : '';
  const files = {
    'program.mjs': program,
    'report.js': report,
    'run.js': runModule(importMap ? undefined : urlOf(base), entries),
    'polyfill.js': polyfills[polyfill] ?? '',
    'index.html': html(map + first + script),
    'main.js': runHere(options?.(otherUrl)),
    ...filesOf[kind]?.(otherUrl),
  };
  if (kind === 'two copies') files['run_copy.js'] = runModule(urlOf('./copy'));
  return {
    files,
    headers: {
      ...(isolated && isolationHeaders),
      ...(policy && { 'Content-Security-Policy': policy }),
    },
    folders: { package: packageFolder, copy: packageFolder },
  };
}

const frameOf = (source, allowed = '') =>
  html(script, `<iframe src="${source}" allow="${allowed}"></iframe>`);

/** What kinds import, if it is not everything. wasmBinary is a file of one entry. */
const entriesOf = {
  'service worker': singleFile,
  'single file': singleFile,
  'wrong options': { main: allEntries.main, onnx: allEntries.onnx },
};

/** The files of each kind that differ from a page's. */
const filesOf = {
  worker: () => ({ 'main.js': startWorker('Worker'), 'worker.js': runHere() }),
  'shared worker': () => ({ 'main.js': startWorker('SharedWorker'), 'worker.js': runHere() }),
  'service worker': () => ({ 'main.js': startServiceWorker, 'worker.js': serviceWorker }),
  frame: () => ({
    'index.html': html('', '<iframe src="./frame.html"></iframe>'),
    'frame.html': html(script),
  }),
  'frame of another origin': (otherUrl) => ({
    'index.html': html('', `<iframe src="${otherUrl}frame.html" allow="cross-origin-isolated"></iframe>`),
    'frame.html': html(script),
  }),
  'other realm': () => ({
    'index.html': frameOf('./frame.html'),
    'main.js': otherRealm,
    'frame.html': html('<script type="module" src="./frame.js"></script>'),
    'frame.js': "globalThis.ready = import('./run.js');\n",
  }),
  'wrong options': () => ({ 'main.js': wrongOptions }),
  'two copies': () => ({ 'main.js': twoCopies }),
};
