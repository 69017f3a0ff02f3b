// "Text to image" for everybody: on the smallest phone and a desktop, light and dark, by keyboard, to a screen reader.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openCreate } from './support/create_page.mjs';
import { axeComplaints, findCutOff } from './support/readability.mjs';

describe('text to image, for everybody', () => {
  let site;
  before(async () => (site = await openCreate()));
  after(() => site.close());

  for (const [screen, options] of Object.entries({
    phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
    desktop: { viewport: { width: 1280, height: 900 } },
  })) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${screen}, ${colorScheme}: readable, named, nothing cut off`, async (t) => {
        const visit = await site.visit({ ...options, colorScheme });
        await visit.waitForStatus('finished');
        await visit.edit('a green circle above a blue square');
        await visit.page.locator('.vocabulary summary').click();
        await visit.page.locator('#fine-tuning summary').click();
        await visit.button('Add drawing').click();
        await visit.prompt.fill('a red dodecahedron');
        await visit.page.locator('#prompt-check:not(:empty)').waitFor();
        const { complaints, passes } = await axeComplaints(visit.page);
        t.diagnostic(`axe: ${passes.length} rules passed, ${complaints.length} complaints`);
        assert.deepEqual(complaints, []);
        assert.ok(passes.includes('color-contrast'), 'contrast was looked at');
        assert.deepEqual(await findCutOff(visit.page), []);
        await visit.saveScreenshot(`create-${screen}-${colorScheme}`);
        await visit.leave();
      });
    }
  }

  test('the skip link leads to the picture, and Tab goes on from there', async () => {
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
