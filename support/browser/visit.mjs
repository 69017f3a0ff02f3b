// A visitor's page of the site: opened, looked at, and left with nothing gone wrong.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage } from './chromium.mjs';
import { isolationHeaders, serve } from './server.mjs';
import { buildSite } from './site.mjs';

/**
 * The site served and a browser, for the tests of one file.
 *
 * @param {string} address of the page that is visited, below the site's root
 * @param {typeof Visit} Visitor Visit, or what a page has made of it
 * @param {{ isolated?: boolean, serviceWorker?: boolean }} [options] whether the site is served with the headers for shared
 *   memory; without them, whether the site may have its service worker add them
 */
export async function openSiteAt(address, Visitor, { isolated = true, serviceWorker = isolated } = {}) {
  const server = await serve(await buildSite(), isolated ? isolationHeaders : {});
  const browser = await launchChromium();
  return {
    browser,
    origin: server.origin,
    /** A new visitor's page; `fragment`: of its address, what it shall begin with. */
    async visit({ fragment = '', ...options } = {}) {
      const watched = await newWatchedPage(browser, server.origin, options);
      // What coi-serviceworker's README names to keep it from its work.
      if (!serviceWorker)
        await watched.page.addInitScript(() => (globalThis.coi = { shouldRegister: () => false }));
      await watched.page.goto(`${server.origin}${address}${fragment}`);
      return new Visitor(watched);
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

export class Visit {
  #close;

  constructor({ page, troubles, close }) {
    /** @type {import('playwright-core').Page} */
    this.page = page;
    /** @type {string[]} */
    this.troubles = troubles;
    this.#close = close;
  }

  /** The end of a visit in which nothing may have gone wrong. */
  async leave() {
    await this.#close();
    assert.deepEqual(this.troubles, [], 'the page did something that it must not do');
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  /** Clicks a button that then reads `text` for a while. Throws if it never does. */
  async clickToRead(name, text) {
    const button = await this.button(name).elementHandle();
    const seen = await button.evaluateHandle((element, wanted) => {
      const result = { isRead: false };
      const note = () => (result.isRead ||= element.textContent.trim() === wanted);
      new MutationObserver(note).observe(element, { childList: true, characterData: true, subtree: true });
      return result;
    }, text);
    await button.click();
    await this.page.waitForFunction(({ isRead }) => isRead, seen);
  }

  /** The text of the message on the page, '' where there is none. */
  async notice() {
    const notice = this.page.locator('#notice');
    return (await notice.isVisible()) ? (await notice.innerText()).trim() : '';
  }

  /** The pixels of a canvas, given by its id or a locator, as RGBA bytes. */
  async pixels(canvas) {
    const place = typeof canvas === 'string' ? this.page.locator(`#${canvas}`) : canvas;
    const { size, bytes } = await place.evaluate((original) => {
      // By way of a copy: Chromium moves a canvas that is read from off the graphics card, and complains about it.
      const copy = new OffscreenCanvas(original.width, original.height).getContext('2d', {
        willReadFrequently: true,
      });
      copy.drawImage(original, 0, 0);
      const { data } = copy.getImageData(0, 0, original.width, original.height);
      return { size: original.width, bytes: Array.from(data) };
    });
    return { size, bytes: Uint8Array.from(bytes) };
  }

  /** Keeps what is to be seen as build/screenshots/<name>.png. */
  async keepScreenshot(name) {
    const folder = path.join(project, 'build/screenshots');
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
  }
}
