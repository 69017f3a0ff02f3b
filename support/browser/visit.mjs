// Opens a page of the site as a visitor, reads it, and checks that it reported no problems.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage } from './chromium.mjs';
import { isolationHeaders, serve } from './server.mjs';
import { buildSite } from './site.mjs';

/**
 * Serves the site and launches a browser, for the tests of one file.
 *
 * @param {string} address the page to visit, below the site's root
 * @param {typeof Visit} VisitClass Visit or a subclass: the page object of the page
 * @param {{ isolated?: boolean, serviceWorker?: boolean }} [options] `isolated`: serve the site with the
 *   headers for shared memory. `serviceWorker`: allow the site's service worker, which adds these headers.
 */
export async function openSiteAt(address, VisitClass, { isolated = true, serviceWorker = isolated } = {}) {
  const server = await serve(await buildSite(), isolated ? isolationHeaders : {});
  const browser = await launchChromium();
  return {
    browser,
    origin: server.origin,
    /** Opens the page in a new browser context. `fragment`: the fragment of its address. */
    async visit({ fragment = '', ...options } = {}) {
      const watched = await newWatchedPage(browser, server.origin, options);
      // coi-serviceworker's README: this setting prevents its registration.
      if (!serviceWorker)
        await watched.page.addInitScript(() => (globalThis.coi = { shouldRegister: () => false }));
      await watched.page.goto(`${server.origin}${address}${fragment}`);
      return new VisitClass(watched);
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

export class Visit {
  #close;

  constructor({ page, problems, close }) {
    /** @type {import('playwright-core').Page} */
    this.page = page;
    /** @type {string[]} */
    this.problems = problems;
    this.#close = close;
  }

  /** Closes the page and asserts that it reported no problems. */
  async leave() {
    await this.#close();
    assert.deepEqual(this.problems, [], 'problems that the page reported');
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  /** Clicks a button and waits until its text is `text`, which it may show only for a moment. */
  async clickAndWaitForText(name, text) {
    const button = await this.button(name).elementHandle();
    const state = await button.evaluateHandle((element, expected) => {
      const result = { wasShown: false };
      const check = () => (result.wasShown ||= element.textContent.trim() === expected);
      new MutationObserver(check).observe(element, { childList: true, characterData: true, subtree: true });
      return result;
    }, text);
    await button.click();
    await this.page.waitForFunction(({ wasShown }) => wasShown, state);
  }

  /** Returns the text of the message on the page, '' if there is none. */
  async notice() {
    const notice = this.page.locator('#notice');
    return (await notice.isVisible()) ? (await notice.innerText()).trim() : '';
  }

  /** Returns the width of a canvas and its pixels as RGBA bytes. `canvas`: its id or a locator. */
  async pixels(canvas) {
    const locator = typeof canvas === 'string' ? this.page.locator(`#${canvas}`) : canvas;
    const { size, bytes } = await locator.evaluate((original) => {
      // Reads a copy: Chromium moves a canvas that is read to the CPU and prints a warning.
      const copy = new OffscreenCanvas(original.width, original.height).getContext('2d', {
        willReadFrequently: true,
      });
      copy.drawImage(original, 0, 0);
      const { data } = copy.getImageData(0, 0, original.width, original.height);
      return { size: original.width, bytes: Array.from(data) };
    });
    return { size, bytes: Uint8Array.from(bytes) };
  }

  /** Saves a screenshot of the page as build/screenshots/<name>.png. */
  async saveScreenshot(name) {
    const folder = path.join(project, 'build/screenshots');
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
  }
}
