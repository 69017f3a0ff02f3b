// The development server while variants are being built: requests for their files wait, and the page shows a
// notice.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer } from 'vite';
import { variantFiles } from '../../tools/lib/wasm.mjs';
import { project } from '../../tools/lib/paths.mjs';
import { PendingBuilds } from '../../tools/lib/pending_builds.mjs';
import { launchChromium, newWatchedPage } from '../../support/browser/chromium.mjs';

const title = 'the WebAssembly variant relaxed-threads';

/** Returns a build that the test ends. */
function controlledBuild() {
  let settle;
  const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(() => {});
  return { promise, ...settle };
}

async function serveWith(builds, config) {
  const server = await createServer({ logLevel: 'silent', plugins: [builds.plugin()], ...config });
  await server.listen();
  return { origin: new URL(server.resolvedUrls.local[0]).origin, close: () => server.close() };
}

describe('a page that needs a variant', () => {
  let browser;
  before(async () => (browser = await launchChromium()));
  after(() => browser.close());

  /** Opens "Paint by attention" while `build` builds the variant that the page chooses. */
  async function openPage(t, build) {
    const builds = new PendingBuilds();
    builds.add(title, variantFiles('relaxed-threads'), build.promise);
    const server = await serveWith(builds, { configFile: path.join(project, 'web/vite.config.ts') });
    t.after(server.close);
    const watched = await newWatchedPage(browser, server.origin);
    t.after(watched.close);
    const requested = [];
    watched.page.on('request', (request) => requested.push(new URL(request.url()).pathname));
    await watched.page.goto(`${server.origin}/paint/`);
    const notice = watched.page.locator('.build-notice');
    await notice.waitFor();
    assert.ok((await notice.innerText()).includes(title));
    return { ...watched, notice, requested };
  }

  test('shows what it waits for, and continues when the build ends', async (t) => {
    const build = controlledBuild();
    const { page, notice, problems, requested } = await openPage(t, build);
    assert.equal(await page.locator('#psnr').innerText(), '–');
    // init has not begun: it would fall back to one thread while the build runs.
    const loads = () => requested.filter((address) => address.includes('/dist/wasm/cross-attention'));
    assert.ok(
      requested.some((address) => address.startsWith('/@wait-for-build/')),
      requested.join('\n'),
    );
    assert.deepEqual(
      loads().filter((address) => !address.startsWith('/@wait')),
      [],
    );
    build.resolve();
    await notice.waitFor({ state: 'detached' });
    await page.waitForFunction(() => Number.parseFloat(document.querySelector('#psnr').textContent) > 10);
    assert.ok(loads().length > 1);
    assert.ok(Number(await page.locator('#runtime-threads').getAttribute('data-value')) > 1);
    assert.deepEqual(problems, []);
  });

  test('shows that the build failed, and stops waiting', async (t) => {
    const build = controlledBuild();
    const { page, notice } = await openPage(t, build);
    build.reject(new Error('a compiler error'));
    await notice.filter({ hasText: title }).filter({ hasText: 'failed' }).waitFor();
    await page.locator('#notice, [role="alert"]').filter({ hasText: /\S/ }).first().waitFor();
  });
});

test('a file that does not exist yet can be imported and is loaded after its build', async (t) => {
  mkdirSync(path.join(project, 'build'), { recursive: true });
  const root = mkdtempSync(path.join(project, 'build/pending-builds-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(path.join(root, 'page.js'), "export const later = () => import('./later.js');");
  const build = controlledBuild();
  const builds = new PendingBuilds();
  builds.add('a file', [path.relative(project, path.join(root, 'later.js'))], build.promise);
  const server = await serveWith(builds, { configFile: false, root });
  t.after(server.close);
  const code = await (await fetch(`${server.origin}/page.js`)).text();
  const [, address] = code.match(/import\("([^"]+)"\)/);
  const response = fetch(new URL(address, server.origin));
  writeFileSync(path.join(root, 'later.js'), "export const value = 'built';");
  build.resolve();
  assert.match(await (await response).text(), /'built'/);
});

test('the address of a file that does not exist yet can be imported', async (t) => {
  mkdirSync(path.join(project, 'build'), { recursive: true });
  const root = mkdtempSync(path.join(project, 'build/pending-builds-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(path.join(root, 'page.js'), "export { default } from './later.wasm?url';");
  const build = controlledBuild();
  const builds = new PendingBuilds();
  builds.add('a file', [path.relative(project, path.join(root, 'later.wasm'))], build.promise);
  const server = await serveWith(builds, { configFile: false, root });
  t.after(server.close);
  const code = await (await fetch(`${server.origin}/page.js`)).text();
  const [, module] = code.match(/from "([^"]+)"/);
  const [, address] = (await (await fetch(new URL(module, server.origin))).text()).match(/"([^"]+)"/);
  const response = fetch(new URL(address, server.origin));
  writeFileSync(path.join(root, 'later.wasm'), 'built');
  build.resolve();
  assert.equal(await (await response).text(), 'built');
});
