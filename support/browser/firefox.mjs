// Launches Firefox, which Puppeteer drives by WebDriver BiDi. Playwright needs a Firefox of its own, which is
// not in Debian.
import puppeteer from 'puppeteer-core';
import { which } from '../../tools/lib/commands.mjs';
import { ensureSystemPackages } from '../../tools/lib/system_packages.mjs';
import { openPage } from './open_page.mjs';

/** No requests of the browser itself, and no start page. */
const preferences = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.startup.page': 0,
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.getAddons.cache.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

/** Finds or installs Firefox. Returns the path. */
export async function prepareFirefox() {
  const find = () => which('firefox-esr') ?? which('firefox');
  if (!find()) await ensureSystemPackages(['firefox']);
  return find();
}

/** Launches a headless Firefox. See newBrowser in browsers.mjs for the members of the result. */
export async function launchFirefox() {
  const executablePath = await prepareFirefox();
  const options = { browser: 'firefox', executablePath, headless: true, extraPrefsFirefox: preferences };
  const browser = await puppeteer.launch(options);
  return {
    version: (await browser.version()).split('/')[1],
    open: async (address) => openPage(await browser.createBrowserContext(), address),
    close: () => browser.close(),
  };
}
