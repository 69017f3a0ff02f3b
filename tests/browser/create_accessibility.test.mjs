// Accessibility of "Text to image": small phone and desktop, light and dark, keyboard, screen reader.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isFullRun } from '../support/full_run.mjs';
import { openCreate } from './support/create_page.mjs';
import { axeViolations, findClippedElements } from './support/readability.mjs';

describe('accessibility of text to image', () => {
  let site;
  before(async () => (site = await openCreate()));
  after(() => site.close());

  for (const [screen, options] of Object.entries({
    phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
    desktop: { viewport: { width: 1280, height: 900 } },
  })) {
    for (const colorScheme of ['light', 'dark']) {
      if (!isFullRun && (screen === 'phone') !== (colorScheme === 'light')) continue;
      test(`${screen}, ${colorScheme}: axe finds no violation, no content is clipped`, async (t) => {
        const visit = await site.visit({ ...options, colorScheme });
        await visit.waitForStatus('finished');
        await visit.edit('a green circle above a blue square');
        await visit.page.locator('.vocabulary summary').click();
        await visit.page.locator('#fine-tuning summary').click();
        await visit.button('Add drawing').click();
        await visit.prompt.fill('a red dodecahedron');
        await visit.page.locator('#prompt-check:not(:empty)').waitFor();
        const { violations, passes } = await axeViolations(visit.page);
        t.diagnostic(`axe: ${passes.length} rules passed, ${violations.length} violations`);
        assert.deepEqual(violations, []);
        assert.ok(passes.includes('color-contrast'), 'axe checked the contrast');
        assert.deepEqual(await findClippedElements(visit.page), []);
        await visit.saveScreenshot(`create-${screen}-${colorScheme}`);
        await visit.leave();
      });
    }
  }

  test('the skip link moves the focus to the picture, and Tab continues from there', async () => {
    const visit = await site.visit();
    await visit.waitForStatus('finished');
    await visit.page.keyboard.press('Tab');
    await visit.page.keyboard.press('Enter');
    assert.equal(await visit.page.evaluate(() => document.activeElement.id), 'studio');
    await visit.page.keyboard.press('Tab');
    assert.equal(await visit.page.evaluate(() => document.activeElement.ariaLabel), 'Step 20');
    await visit.leave();
  });
});
