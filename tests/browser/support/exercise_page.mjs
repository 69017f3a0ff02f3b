// Opens pages of tests/browser/pages, which run an exercise, and reads their results.
import assert from 'node:assert/strict';
import path from 'node:path';
import { newWatchedPage } from '../../../support/browser/chromium.mjs';

/**
 * Opens a page in a new browser context and waits for its result.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} address the page with its query
 * @returns {Promise<{ result: object, loaded: string[], wasm: string[] }>} `loaded`: the paths of all loaded
 *   files; `wasm`: the names of the .wasm files among them
 */
export async function resultOfPage(browser, address) {
  const watched = await newWatchedPage(browser, new URL(address).origin);
  try {
    return await readResult(watched, address);
  } finally {
    await watched.close();
  }
}

/**
 * In milliseconds. In every page, a software adapter compiles all pipelines again, which takes tens of
 * seconds.
 */
const timeout = 180_000;

/** The same in an open page. */
export async function readResult({ page, problems }, address) {
  problems.length = 0;
  const loaded = new Set();
  const record = (request) => loaded.add(new URL(request.url()).pathname);
  page.on('request', record);
  await page.goto(address);
  const output = page.locator('#result:not(:empty)');
  await output.waitFor({ state: 'attached', timeout });
  page.off('request', record);
  const result = JSON.parse(await output.textContent());
  assert.equal(result.error, undefined);
  assert.deepEqual(problems, []);
  const wasm = [...loaded].filter((file) => file.endsWith('.wasm')).map((file) => path.posix.basename(file));
  return { result, loaded: [...loaded], wasm };
}
