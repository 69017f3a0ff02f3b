// A visitor's page of the site: opened, looked at, and left with nothing gone wrong.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { project } from '../../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage } from './chromium.mjs';
import { isolationHeaders, serve } from './server.mjs';
import { buildSite } from './site.mjs';

/**
 * The site served and a browser, for the tests of one file.
 *
 * @param {string} address of the page that is visited, below the site's root
 * @param {typeof Visit} Visitor Visit, or what a page has made of it
 * @param {{ isolated?: boolean }} [options] whether the site is served with the headers for shared memory
 */
export async function openSiteAt(address, Visitor, { isolated = true } = {}) {
  const server = await serve(await buildSite(), isolated ? isolationHeaders : {});
  const browser = await launchChromium();
  return {
    browser,
    origin: server.origin,
    /** A new visitor's page. */
    async visit(options) {
      const watched = await newWatchedPage(browser, server.origin, options);
      await watched.page.goto(`${server.origin}${address}`);
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

  /** Keeps what is to be seen as build/screenshots/<name>.png. */
  async keepScreenshot(name) {
    const folder = path.join(project, 'build/screenshots');
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
  }
}
