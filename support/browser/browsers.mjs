// The three engines of browsers behind one interface, for tests that only open pages.
import { launchChromium } from './chromium.mjs';
import { launchFirefox } from './firefox.mjs';
import { openPage } from './open_page.mjs';
import { launchWebKit } from './webkit.mjs';

async function launchWatchedChromium() {
  const browser = await launchChromium();
  return {
    version: browser.version(),
    open: async (address) => openPage(await browser.newContext(), address),
    close: () => browser.close(),
  };
}

const launchers = { Chromium: launchWatchedChromium, Firefox: launchFirefox, WebKit: launchWebKit };

/**
 * An open page. `problems` collects errors and warnings of the console as text, if the engine reports them.
 *
 * @typedef {{ problems: string[], evaluate: (source: string) => Promise<any>, close: () => Promise<void> }}
 *   OpenPage
 */

/**
 * Launches a browser.
 *
 * @param {'Chromium' | 'Firefox' | 'WebKit'} engine
 * @param {object} [options] of the engine's launcher
 * @returns {Promise<{ version: string, open: (address: string) => Promise<OpenPage>, close: () =>
 *   Promise<void> }>}
 */
export const newBrowser = (engine, options) => launchers[engine](options);
