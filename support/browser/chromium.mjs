// A Chromium to drive, and pages of it that remember everything that went wrong in them.
import { chromium } from 'playwright-core';
import { prepareBrowser } from '../../tools/lib/browser.mjs';

export { webGpuSwitches } from './webgpu_switches.mjs';

/** Quiet and offline: what a fresh profile would otherwise fetch by itself is not ours to test. */
const switches = [
  '--headless',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Chromium as CHROME_PATH names it, else as tools/lib/browser.mjs finds or installs it.
 *
 * @param {{ switches?: readonly string[] }} [options] switches beside those that every test has
 */
export async function launchChromium({ switches: more = [] } = {}) {
  return chromium.launch({ executablePath: await prepareBrowser(), args: [...switches, ...more] });
}

/** What Chromium itself remarks where a page asks for an adapter, and there is none. */
const noAdapter = 'No available adapters.';

/** Ends a wait for what never happens: milliseconds. */
const timeout = 180_000;

/**
 * A page in a context (cookies, storage) of its own. `troubles` collects, as text, what no page of ours may do:
 * errors and warnings on the console, uncaught exceptions, failed requests, requests to other origins.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} origin where all that the page needs comes from
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function newWatchedPage(browser, origin, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(timeout);
  const page = await context.newPage();
  const troubles = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && message.text() !== noAdapter)
      troubles.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.push(`uncaught: ${error.stack ?? error.message}`));
  page.on('requestfailed', (request) =>
    troubles.push(`request failed: ${request.url()} ${request.failure()?.errorText ?? ''}`),
  );
  page.on('response', (response) => {
    if (response.status() >= 400) troubles.push(`status ${response.status()}: ${response.url()}`);
  });
  page.on('request', (request) => {
    const address = new URL(request.url());
    const isLocal = ['data:', 'blob:'].includes(address.protocol) || address.origin === origin;
    if (!isLocal) troubles.push(`request to another origin: ${address.href}`);
  });
  return { page, troubles, close: () => context.close() };
}
