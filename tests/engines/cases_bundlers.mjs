// The checked program built by bundlers in their default configuration, in Chromium with and without
// isolation. The console must stay empty.
import path from 'node:path';
import { isolationHeaders } from '../../support/browser/server.mjs';
import { builds } from './bundlers/builds.mjs';
import { closeNext, nextCases } from './bundlers/next.mjs';
import { pageOf, sources } from './bundlers/sources.mjs';
import { viteDevelopment } from './bundlers/vite_development.mjs';
import { closeBrowser, resultOfPage } from './bundlers/watched.mjs';
import { CaseServer } from './support/case_server.mjs';
import { newProject, temporaryFolder } from './support/packed.mjs';

let starting = null;

/** Installs the package into one project for all bundlers, and starts the server. */
async function start() {
  const server = new CaseServer();
  await server.start();
  const folder = await newProject('bundlers', sources, {});
  return { server, folder };
}

const targets = new Map();

/** Builds once for all conditions. Returns the folder. */
async function built(each) {
  const { folder } = await (starting ??= start());
  if (!targets.has(each.name)) {
    // Outside of the project: Vite's development server reads all pages in it.
    const target = path.join(await temporaryFolder('built'), String(targets.size));
    targets.set(
      each.name,
      each.build(folder, target).then(() => target),
    );
  }
  return targets.get(each.name);
}

/** A bundler that leaves out the .wasm files makes init request missing files, which the browser reports. */
const isMissingFile = (problem) =>
  /^status 404: .*\.wasm$|^request failed: .*\.wasm |Failed to load resource.*404/.test(problem);

/** The .wasm files in the project. */
const wasmFolder = 'node_modules/diffusion-cross-attention/dist/wasm';

let count = 0;

async function runBuilt(each, isolated, query = '') {
  const target = await built(each);
  const { server, folder } = await starting;
  const name = `bundled${++count}`;
  const files = each.page === 'own' ? {} : { 'built/index.html': pageOf(each.page) };
  const reported = server.add(name, {
    files,
    headers: isolated ? isolationHeaders : {},
    // The folder of the .wasm files is for the options of init.
    folders: { built: target, 'built/wasm': path.join(folder, wasmFolder) },
  });
  try {
    const url = `${server.origin}/${name}/built/index.html${query}`;
    const result = await resultOfPage(url, reported, each.omitsFiles ? isMissingFile : undefined);
    return { ...result, version: each.version };
  } finally {
    server.remove(name);
  }
}

const notIsolated = /not cross-origin isolated/;
const expectedOf = ({ omitsFiles }, isolated) => {
  if (isolated && !omitsFiles) return { threads: 'several' };
  const reason = isolated
    ? /embedded module/
    : omitsFiles
      ? /not cross-origin isolated.*embedded/
      : notIsolated;
  return { threads: 'one', reason };
};

export const cases = [
  ...builds.flatMap((each) =>
    [true, false].map((isolated) => ({
      group: 'Bundlers',
      name: each.name,
      conditions: `build, ${isolated ? 'isolated' : 'not isolated'}`,
      expected: expectedOf(each, isolated),
      quick: each.quick ?? false,
      run: () => runBuilt(each, isolated),
    })),
  ),
  ...builds
    .filter(({ omitsFiles }) => omitsFiles)
    .map((each) => ({
      group: 'Bundlers',
      name: each.name,
      conditions: 'build, wasmBaseUrl and workerUrl, isolated',
      expected: { threads: 'several' },
      quick: false,
      run: () => runBuilt({ ...each, omitsFiles: false }, true, '?wasmBaseUrl=./wasm/&workerUrl=./wasm/'),
    })),
  ...viteDevelopment(() => (starting ??= start()).then(({ folder }) => folder)),
  ...nextCases,
];

/** Ends the browser and the servers. */
export async function close() {
  await closeBrowser();
  await closeNext();
  if (starting !== null) await (await starting.catch(() => null))?.server.close();
  starting = null;
}
