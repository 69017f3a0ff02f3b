// Chromium, Firefox and WebKit: the checked program in pages, workers and frames under various conditions.
import path from 'node:path';
import { newBrowser } from '../../support/browser/browsers.mjs';
import { CaseServer } from './support/case_server.mjs';
import { newProject } from './support/packed.mjs';
import { policies, siteOf } from './support/pages.mjs';

/** In seconds: `init` falls back after 20 s, and each entry has an init of its own. */
const limit = 75;

const many = { threads: 'several' };
const one = (reason) => ({ threads: 'one', reason });
const notIsolated = one(/not cross-origin isolated/);
/** A worker is no page. */
const workerNotIsolated = one(/^(?!.*the page).*isolated/);

const isolated = true;
const importMap = true;

/** What is served, and what init must find. `quick`: also part of npm test, in Firefox. */
const conditions = {
  'import map, isolated': { kind: 'page', importMap, isolated, expected: many, quick: true },
  'import map, not isolated': { kind: 'page', importMap, expected: notIsolated, quick: true },
  'strict CSP, isolated': { kind: 'page', isolated, policy: policies.strict, expected: many },
  'strict CSP, not isolated': { kind: 'page', policy: policies.strict, expected: notIsolated },
  "CSP worker-src 'none', isolated": {
    kind: 'page',
    isolated,
    policy: policies.noWorkers,
    expected: one(/worker/),
  },
  'package from another origin, isolated': { kind: 'page', isolated, other: true, expected: many },
  'package from another origin, not isolated': { kind: 'page', other: true, expected: notIsolated },
  'package from another origin, strict CSP for workers, isolated': {
    kind: 'page',
    isolated,
    other: true,
    policy: policies.ownWorkers,
    expected: one(/worker/),
  },
  'worker, isolated': { kind: 'worker', isolated, expected: many },
  'worker, not isolated': { kind: 'worker', expected: workerNotIsolated },
  'worker, package from another origin, isolated': { kind: 'worker', isolated, other: true, expected: many },
  'shared worker, isolated': { kind: 'shared worker', isolated, expected: { threads: 'any' } },
  'shared worker, not isolated': { kind: 'shared worker', expected: workerNotIsolated },
  'service worker, single file': { kind: 'service worker', expected: one(/./) },
  'page, single file, isolated': { kind: 'single file', isolated, expected: one(/./) },
  'iframe, isolated': { kind: 'frame', isolated, expected: many },
  'iframe of another origin, isolated': {
    kind: 'frame of another origin',
    isolated,
    expected: { threads: 'any' },
  },
  'values of another realm': { kind: 'other realm', isolated, expected: many },
  'process polyfill, isolated': { kind: 'page', isolated, polyfill: 'process', expected: many },
  'process polyfill, not isolated': { kind: 'page', polyfill: 'process', expected: notIsolated },
  "Electron's process": { kind: 'page', isolated, polyfill: 'renderer', expected: many },
  'wasmBaseUrl and workerUrl of another origin, isolated': {
    kind: 'page',
    isolated,
    options: (otherUrl) => ({
      wasmBaseUrl: `${otherUrl}package/dist/wasm`,
      workerUrl: `${otherUrl}package/dist/wasm/`,
    }),
    expected: many,
  },
  'workerUrl without a script, isolated': {
    kind: 'page',
    isolated,
    options: () => ({ workerUrl: './there-is-nothing/' }),
    expected: one(/worker/),
  },
  'wrong options of init, then wasmBinary, isolated': { kind: 'wrong options', isolated, expected: many },
  'two copies of the package, isolated': { kind: 'two copies', isolated, expected: many },
  'isolated, without SharedArrayBuffer': {
    kind: 'page',
    isolated,
    polyfill: 'withoutSharedMemory',
    expected: one(/^(?!.*not cross-origin isolated).*SharedArrayBuffer/),
  },
};

let server = null;
let packageFolder = null;
const browsers = new Map();
let count = 0;

async function start() {
  server = new CaseServer();
  await server.start();
  const project = await newProject('pages');
  packageFolder = path.join(project, 'node_modules/diffusion-cross-attention');
}
let starting = null;

/** Launches an engine once. */
function browserOf(engine, options) {
  const key = engine + JSON.stringify(options ?? {});
  if (!browsers.has(key)) browsers.set(key, newBrowser(engine, options));
  return { key, browser: browsers.get(key) };
}

async function runInBrowser(engine, condition) {
  await (starting ??= start());
  const name = `case${++count}`;
  const site = siteOf(condition, `${server.otherOrigin}/${name}/`, packageFolder);
  const reported = server.add(name, site);
  const { key, browser: launching } = browserOf(engine, condition.browser);
  const browser = await launching;
  let page = null;
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const problems = page?.problems.slice(0, 3).map((text) => `: ${text.slice(0, 300)}`) ?? [];
      reject(new Error(`nothing was reported after ${limit} s${problems.join('')}`));
    }, limit * 1000);
  });
  timeout.catch(() => {});
  try {
    page = await Promise.race([browser.open(`${server.origin}/${name}/`), timeout]);
    const { result, error, stack } = await Promise.race([reported, timeout]);
    if (error !== undefined) throw Object.assign(new Error(error.trim()), { stackInPage: stack });
    return { version: browser.version, ...result };
  } catch (error) {
    if (error.stackInPage === undefined) {
      // A page that hangs may block its browser.
      browsers.delete(key);
      page = null;
      await browser.close();
    }
    throw error;
  } finally {
    clearTimeout(timer);
    server.remove(name);
    await page?.close();
  }
}

/** Ends the browsers and the server. */
export async function close() {
  for (const browser of browsers.values()) await (await browser.catch(() => null))?.close();
  browsers.clear();
  await server?.close();
  server = null;
  starting = null;
}

const engines = ['Chromium', 'Firefox', 'WebKit'];

/** WebKitGTK has no shared memory by default. The other cases switch it on, as Safari does. */
const webKitDefault = {
  kind: 'page',
  isolated,
  browser: { sharedMemory: false },
  expected: one(/^(?!.*not cross-origin isolated).*SharedArrayBuffer/),
};

export const cases = engines.flatMap((engine) =>
  Object.entries({
    ...conditions,
    ...(engine === 'WebKit' && { "isolated, WebKitGTK's default": webKitDefault }),
  }).map(([name, { quick = false, expected, ...condition }]) => ({
    group: engine,
    name: engine,
    conditions: name,
    expected,
    quick: quick && engine === 'Firefox',
    run: () => runInBrowser(engine, condition),
  })),
);
