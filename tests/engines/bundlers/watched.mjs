// Opens a page that runs the checked program in Chromium, and waits for its report.
import { launchChromium, newWatchedPage } from '../../../support/browser/chromium.mjs';

/** In seconds: init of each entry falls back after 20 s. */
const limit = 60;

let browser = null;

/**
 * Returns the reported result of a page. Throws if it reports an error, or if the console has one.
 *
 * @param {string} url
 * @param {Promise<object> | ((page: import('playwright-core').Page) => Promise<object>)} reported resolves to
 * {result} or {error, stack}
 * @param {(problem: string) => boolean} [isExpected] problems of the page that the case is about
 */
export async function resultOfPage(url, reported, isExpected = () => false) {
  browser ??= launchChromium();
  const watched = await newWatchedPage(await browser, new URL(url).origin);
  let timer;
  try {
    await watched.page.goto(url);
    const outcome = typeof reported === 'function' ? reported(watched.page) : reported;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ error: `no report after ${limit} s` }), limit * 1000);
    });
    const { result, error, stack } = await Promise.race([outcome, late]);
    const problems = watched.problems.filter((problem) => !isExpected(problem));
    if (error !== undefined) throw new Error([error, stack, ...problems].join('\n').slice(0, 3000));
    if (problems.length > 0) throw new Error(problems.join('\n').slice(0, 3000));
    return { ...result, version: (await browser).version() };
  } finally {
    clearTimeout(timer);
    await watched.close();
  }
}

/** Ends the browser. */
export async function closeBrowser() {
  await (await browser)?.close();
  browser = null;
}
