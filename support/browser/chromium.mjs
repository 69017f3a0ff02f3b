// Launches Chromium and opens pages that record every error.
import { chromium } from 'playwright-core';
import { prepareBrowser } from '../../tools/lib/browser.mjs';

export { webGpuSwitches } from './webgpu_switches.mjs';

/** Without background requests: a fresh profile fetches components and updates that are not under test. */
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
 * Launches the Chromium that CHROME_PATH names, or else the one that tools/lib/browser.mjs finds or installs.
 *
 * @param {{ switches?: readonly string[] }} [options] `switches` are added to those of every test
 */
export async function launchChromium({ switches: extraSwitches = [] } = {}) {
  return chromium.launch({ executablePath: await prepareBrowser(), args: [...switches, ...extraSwitches] });
}

/** Chromium prints this warning if a page requests an adapter and there is none. */
const noAdapter = 'No available adapters.';

/** Timeout of Playwright's waits, in milliseconds. */
const timeout = 180_000;

/**
 * Opens a page in a new browser context (cookies, storage). `problems` collects as text: errors and warnings
 * on the console, uncaught exceptions, failed requests, requests to other origins.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} origin the only origin from which the page may load
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function newWatchedPage(browser, origin, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(timeout);
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && message.text() !== noAdapter)
      problems.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.stack ?? error.message}`));
  page.on('requestfailed', (request) =>
    problems.push(`request failed: ${request.url()} ${request.failure()?.errorText ?? ''}`),
  );
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`status ${response.status()}: ${response.url()}`);
  });
  page.on('request', (request) => {
    const address = new URL(request.url());
    const isLocal = ['data:', 'blob:'].includes(address.protocol) || address.origin === origin;
    if (!isLocal) problems.push(`request to another origin: ${address.href}`);
  });
  return { page, problems, close: () => context.close() };
}
