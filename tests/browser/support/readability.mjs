// Checks that a page is readable: axe's rules, and no clipped content.
import { createRequire } from 'node:module';

const axe = createRequire(import.meta.url).resolve('axe-core');

/**
 * Runs axe. Returns its violations as text, and the ids of the rules that passed.
 * @param {import('playwright-core').Page} page
 */
export async function axeViolations(page) {
  await page.addScriptTag({ path: axe });
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  return {
    passes: passes.map(({ id }) => id),
    violations: violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary}`),
    ),
  };
}

/**
 * Returns the elements that are wider than the window or than their box. Elements in a scrollable box are
 * exempt.
 * @param {import('playwright-core').Page} page
 */
export const findClippedElements = (page) => page.evaluate(findInPage);

/** Runs in the page. */
function findInPage() {
  const found = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    found.push(`the page is ${document.documentElement.scrollWidth} wide; expected at most ${width}`);
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    const isShown = box.width > 0 && box.height > 0 && !element.closest('.skip-link');
    const scrolls = element.closest('.scroller') !== null;
    if (!isShown || scrolls) continue;
    const name = `${element.tagName.toLowerCase()}#${element.id}.${element.className}`;
    if (box.right > width + 1 || box.left < -1) found.push(`${name} extends beyond the window`);
    // Not the text of SVG drawings, which has no box.
    const isText =
      element instanceof HTMLElement && element.childElementCount === 0 && element.textContent.trim() !== '';
    if (
      isText &&
      element.scrollWidth > element.clientWidth + 1 &&
      getComputedStyle(element).display !== 'inline'
    )
      found.push(`${name} is wider than its box`);
  }
  return found;
}
