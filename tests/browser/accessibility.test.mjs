// Accessibility of "Paint by attention": phone and desktop, light and dark, keyboard, screen reader.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PNG } from 'pngjs';
import { openSite } from '../../support/browser/paint_page.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { axeViolations, findClippedElements } from './support/readability.mjs';

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
      if (!isFullRun && (screen === 'phone') !== (colorScheme === 'light')) continue;
      test(`${screen}, ${colorScheme}: axe finds no violation, no content is clipped`, async (t) => {
        const visit = await site.visit({ ...options, colorScheme });
        await visit.waitForReading('psnr', 20);
        await visit.pause();
        // A message on the page must be readable, too.
        await visit.drop('letter.txt', Buffer.from('no picture'));
        await visit.page.locator('#notice').waitFor();

        const { violations, passes } = await axeViolations(visit.page);
        t.diagnostic(`axe: ${passes.length} rules passed, ${violations.length} violations`);
        assert.deepEqual(violations, []);
        assert.ok(passes.includes('color-contrast'), 'axe checked the contrast');
        assert.deepEqual(await findClippedElements(visit.page), []);
        await visit.page.evaluate(() => scrollTo(0, 0));
        await visit.saveScreenshot(`${screen}-${colorScheme}`);
        await visit.leave();
      });
    }
  }

  test('on a phone, touch targets are large enough', async () => {
    const visit = await site.visit(screens.phone);
    await visit.waitForReading('steps', 1);
    const small = await visit.page.evaluate(() =>
      Array.from(document.querySelectorAll('button, select'), (control) => [
        control,
        control.getBoundingClientRect(),
      ])
        // WCAG 2.5.8 requires 24 CSS pixels. Attention maps are always larger.
        .filter(([, { width, height }]) => width > 0 && (width < 24 || height < 24))
        .map(([control]) => control.id || control.className),
    );
    assert.deepEqual(small, []);
    await visit.leave();
  });

  test('long captions do not change the sizes of the pictures', async () => {
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
      // Positions are rounded to whole device pixels.
      assert.ok(Math.abs(target.width - painting.width) <= 1, `${target.width} and ${painting.width} wide`);
      assert.equal(target.y, painting.y);
      await visit.leave();
    }
  });

  test('the Tab key follows the reading order, and the focus is visible', async () => {
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
      assert.ok(isOutlined, `focus of ${name} is visible`);
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
    assert.equal(await visit.page.evaluate(() => document.activeElement.tagName), 'BODY', 'no further stop');
    await visit.leave();
  });

  test('the skip link moves the focus to the painting', async () => {
    const visit = await site.visit(screens.desktop);
    await visit.page.keyboard.press('Tab');
    await visit.page.keyboard.press('Enter');
    assert.equal(await visit.page.evaluate(() => document.activeElement.id), 'workbench');
    await visit.leave();
  });

  test('theme: system, light, dark; the choice is saved', async () => {
    const visit = await site.visit({ ...screens.desktop, colorScheme: 'light' });
    const background = () => visit.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const button = visit.page.locator('#theme');
    const light = await background();
    await button.click();
    assert.match(await button.getAttribute('aria-label'), /light/);
    assert.equal(await background(), light);
    await button.click();
    assert.match(await button.getAttribute('aria-label'), /dark/);
    const dark = await background();
    assert.notEqual(dark, light);
    await visit.page.reload();
    assert.equal(await background(), dark);
    await button.click();
    assert.equal(await background(), light, 'the system’s theme again');
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    assert.equal(await background(), dark, 'follows a change of the system’s theme');
    await visit.leave();
  });
});
