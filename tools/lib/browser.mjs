// Chromium for the browser tests.
import { existsSync } from 'node:fs';
import { which } from './commands.mjs';
import { step } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';

const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/**
 * Finds or installs Chromium or Chrome. Sets the environment variable CHROME_PATH, which tests read, and
 * returns the path.
 */
export function prepareBrowser() {
  return step('Chromium', async () => {
    const given = process.env.CHROME_PATH;
    if (given && existsSync(given)) return given;
    let found = programs.map(which).find(Boolean);
    if (!found) {
      await ensureSystemPackages(['chromium']);
      found = which('chromium');
    }
    process.env.CHROME_PATH = found;
    return found;
  });
}
