// The page for everybody: on a phone and a desktop, light and dark, by keyboard, to a screen reader.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PNG } from 'pngjs';
import { openSite } from '../../support/browser/paint_page.mjs';
import { axeComplaints, findCutOff } from './support/readability.mjs';

const onePixel = PNG.sync.write(new PNG({ width: 1, height: 1 }));
const screens = {
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  desktop: { viewport: { width: 1280, height: 900 } },
};

describe('accessibility', () => {
  let site;
  before(async () => (site = await openSite()));
  after(() => site.close());

  for (const [screen, options] of Object.entries(screens)) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${screen}, ${colorScheme}: readable, named, nothing cut off`, async (t) => {
        const visit = await site.visit({ ...options, colorScheme });
        await visit.waitForReading('psnr', 20);
        await visit.pause();
        // A message on the page belongs to what has to be readable.
        await visit.drop('letter.txt', Buffer.from('no picture'));
        await visit.page.locator('#notice').waitFor();

        const { complaints, passes } = await axeComplaints(visit.page);
        t.diagnostic(`axe: ${passes.length} rules passed, ${complaints.length} complaints`);
        assert.deepEqual(complaints, []);
        assert.ok(passes.includes('color-contrast'), 'contrast was looked at');
        assert.deepEqual(await findCutOff(visit.page), []);
        await visit.page.evaluate(() => scrollTo(0, 0));
        await visit.saveScreenshot(`${screen}-${colorScheme}`);
        await visit.leave();
      });
    }
  }

  test('on a phone all that is to be touched is large enough for a finger', async () => {
    const visit = await site.visit(screens.phone);
    await visit.waitForReading('steps', 1);
    const small = await visit.page.evaluate(() =>
      Array.from(document.querySelectorAll('button, select'), (control) => [
        control,
        control.getBoundingClientRect(),
      ])
        // WCAG 2.5.8 asks for 24 CSS pixels; a painted map is a large target anyway.
        .filter(([, { width, height }]) => width > 0 && (width < 24 || height < 24))
        .map(([control]) => control.id || control.className),
    );
    assert.deepEqual(small, []);
    await visit.leave();
  });

  test('both pictures stay equally large, whatever their captions say', async () => {
    for (const width of [390, 820, 1280]) {
      const visit = await site.visit({ viewport: { width, height: 900 } });
      await visit.drop(
        'a picture with quite a long name, as cameras and visitors like to give.png',
        onePixel,
        'image/png',
      );
      await visit.waitForReading('steps', 1);
      await visit.page.getByRole('button', { name: /^Vector 5:/ }).hover();
      await visit.page.locator('#highlight[data-shown]').waitFor();
      const [target, painting] = await Promise.all(
        ['target', 'painting'].map((id) => visit.page.locator(`#${id}`).boundingBox()),
      );
      // Whole device pixels: half of one may fall to either side.
      assert.ok(Math.abs(target.width - painting.width) <= 1, `${target.width} and ${painting.width} wide`);
      assert.equal(target.y, painting.y);
      await visit.leave();
    }
  });

  test('the Tab key goes through the page in reading order, and what has the focus shows it', async () => {
    const visit = await site.visit(screens.desktop);
    await visit.waitForReading('steps', 1);
    const order = [];
    for (let stop = 0; stop < 15; stop++) {
      await visit.page.keyboard.press('Tab');
      const { name, isOutlined } = await visit.page.evaluate(() => {
        const focused = document.activeElement;
        const label =
          focused.labels?.[0]?.textContent ?? focused.getAttribute('aria-label') ?? focused.textContent;
        return { name: label.trim(), isOutlined: getComputedStyle(focused).outlineStyle !== 'none' };
      });
      order.push(name.replace(/^Vector (\d+):.*/, 'Vector $1'));
      assert.ok(isOutlined, `${name} shows that it has the focus`);
    }
    assert.deepEqual(order, [
      'Skip to the painting',
      'Text to image',
      'Paint by attention',
      'Benchmark',
      'Theme: system',
      'Pause',
      'Restart',
      'Choose picture…',
      'Sample',
      'Pixels',
      'Vectors',
      'Heads',
      'Save weights',
      'Load weights…',
      'Vector 1',
    ]);
    await visit.page.keyboard.press('Tab');
    assert.equal(await visit.page.evaluate(() => document.activeElement.tagName), 'BODY', 'no stop beyond');
    await visit.leave();
  });

  test('the skip link leads to the painting', async () => {
    const visit = await site.visit(screens.desktop);
    await visit.page.keyboard.press('Tab');
    await visit.page.keyboard.press('Enter');
    assert.equal(await visit.page.evaluate(() => document.activeElement.id), 'workbench');
    await visit.leave();
  });

  test('colours: as the system has them, light, dark; remembered', async () => {
    const visit = await site.visit({ ...screens.desktop, colorScheme: 'light' });
    const ground = () => visit.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const button = visit.page.locator('#theme');
    const light = await ground();
    await button.click();
    assert.match(await button.getAttribute('aria-label'), /light/);
    assert.equal(await ground(), light);
    await button.click();
    assert.match(await button.getAttribute('aria-label'), /dark/);
    const dark = await ground();
    assert.notEqual(dark, light);
    await visit.page.reload();
    assert.equal(await ground(), dark);
    await button.click();
    assert.equal(await ground(), light, 'the system’s again');
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    assert.equal(await ground(), dark, 'and it follows the system');
    await visit.leave();
  });
});
