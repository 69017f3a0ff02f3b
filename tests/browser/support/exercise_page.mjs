// Pages of tests/browser/pages that do an exercise and write its result, as JSON, into themselves.
import assert from 'node:assert/strict';
import path from 'node:path';
import { newWatchedPage } from '../../../support/browser/chromium.mjs';

/**
 * Opens a page in a context of its own and waits for its result.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} address of the page, with all that it is asked
 * @returns {Promise<{ result: object, loaded: string[], wasm: string[] }>} and the paths of all that it loaded, and the names
 *   of the .wasm files among it
 */
export async function resultOfPage(browser, address) {
  const watched = await newWatchedPage(browser, new URL(address).origin);
  try {
    return await readResult(watched, address);
  } finally {
    await watched.close();
  }
}

/** Ends a page that hangs. A software adapter compiles every pipeline anew, which takes tens of seconds. */
const timeout = 180_000;

/** The same in a page that is open. */
export async function readResult({ page, troubles }, address) {
  troubles.length = 0;
  const loaded = new Set();
  const note = (request) => loaded.add(new URL(request.url()).pathname);
  page.on('request', note);
  await page.goto(address);
  const place = page.locator('#result:not(:empty)');
  await place.waitFor({ state: 'attached', timeout });
  page.off('request', note);
  const result = JSON.parse(await place.textContent());
  assert.equal(result.error, undefined);
  assert.deepEqual(troubles, []);
  const wasm = [...loaded].filter((file) => file.endsWith('.wasm')).map((file) => path.posix.basename(file));
  return { result, loaded: [...loaded], wasm };
}
