// Whether everybody can read a page: axe's rules, and nothing cut off.
import { createRequire } from 'node:module';

const axe = createRequire(import.meta.url).resolve('axe-core');

/**
 * What axe has to say against the page, as text; `passes`: the ids of the rules that found nothing.
 * @param {import('playwright-core').Page} page
 */
export async function axeComplaints(page) {
  await page.addScriptTag({ path: axe });
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  return {
    passes: passes.map(({ id }) => id),
    complaints: violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary}`),
    ),
  };
}

/**
 * What is wider than the window or than its own box, so that some of it can't be seen; but for what scrolls in a box of its
 * own.
 * @param {import('playwright-core').Page} page
 */
export const findCutOff = (page) => page.evaluate(findCutOffHere);

/** In the page. */
function findCutOffHere() {
  const found = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    found.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    const isShown = box.width > 0 && box.height > 0 && !element.closest('.skip-link');
    const scrolls = element.closest('.scroller') !== null;
    if (!isShown || scrolls) continue;
    const what = `${element.tagName.toLowerCase()}#${element.id}.${element.className}`;
    if (box.right > width + 1 || box.left < -1) found.push(`${what} reaches over the window's edge`);
    // The words of a drawing have no box but themselves.
    const isText =
      element instanceof HTMLElement && element.childElementCount === 0 && element.textContent.trim() !== '';
    if (
      isText &&
      element.scrollWidth > element.clientWidth + 1 &&
      getComputedStyle(element).display !== 'inline'
    )
      found.push(`${what} is wider than its box`);
  }
  return found;
}
