// The attention maps of "Paint by attention": their values, and the highlight of a vector's part of the
// painting.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { openSite } from '../../support/browser/paint_page.mjs';
import { until } from './support/until.mjs';

describe('attention maps', () => {
  let site;
  let visit;
  before(async () => {
    site = await openSite();
    visit = await site.visit({ viewport: { width: 1280, height: 1000 } });
    await visit.waitForReading('psnr', 22);
    await visit.pause();
  });
  after(() => site.close());

  const maps = () => visit.page.getByRole('button', { name: /^Vector \d+:/ });
  const canvases = () => visit.page.locator('#attention-grid canvas');
  const caption = () => visit.page.locator('#painting-caption').innerText();
  const isHighlighted = () =>
    visit.page.locator('#highlight').evaluate((canvas) => getComputedStyle(canvas).opacity === '1');

  test('there is one map per vector, and the shares of attention add up to 1', async (t) => {
    assert.equal(await maps().count(), 32);
    const shares = await visit.page
      .locator('.attention-map [data-value]')
      .evaluateAll((elements) => elements.map((element) => Number(element.dataset.value)));
    assert.equal(shares.length, 32);
    assert.ok(shares.every((share) => share >= 0 && share <= 1));
    const sum = shares.reduce((total, share) => total + share, 0);
    t.diagnostic(`shares add up to 1 ${sum < 1 ? '−' : '+'} ${Math.abs(sum - 1).toExponential(1)}`);
    // The float32 probabilities of a pixel have a few rounding errors of 2⁻²⁴ each: exponential, sum,
    // division.
    assert.ok(Math.abs(sum - 1) <= 8 * 2 ** -24, `shares add up to ${sum}`);
    const texts = await maps().allInnerTexts();
    for (const [index, text] of texts.entries()) {
      const shown = Number(text.replace('%', '').trim()) / 100;
      // Shown in per cent with one decimal, from 10 % on without decimals.
      assert.ok(
        Math.abs(shown - shares[index]) <= (shown < 0.1 ? 0.0005 : 0.005) + 1e-9,
        `${text}: ${shares[index]}`,
      );
    }
  });

  test('every map is scaled to full brightness, and all maps are different', async () => {
    const drawn = [];
    for (const canvas of await canvases().all()) {
      const { bytes } = await visit.pixels(canvas);
      drawn.push({ bytes, brightest: Math.max(...brightnesses(bytes)) });
    }
    // The last colour of the scale is 255, 247, 214. A map's peak may be rounded down by one of its 255
    // levels.
    for (const { brightest } of drawn)
      assert.ok(brightest >= 700, `brightest pixel is ${brightest}; expected at least 700 of 716`);
    assert.equal(new Set(drawn.map(({ bytes }) => bytes.join())).size, drawn.length);
  });

  test('a map under the pointer highlights its part of the painting', async () => {
    assert.equal(await isHighlighted(), false);
    await maps().nth(2).hover();
    assert.ok(await isHighlighted());
    assert.match(await caption(), /vector 3 /);
    // The overlay is most transparent where the map is brightest.
    const [overlay, map] = [await visit.pixels('highlight'), await visit.pixels(canvases().nth(2))];
    const levels = brightnesses(map.bytes);
    const brightest = levels.indexOf(Math.max(...levels));
    const darkest = levels.indexOf(Math.min(...levels));
    assert.ok(overlay.bytes[brightest * 4 + 3] <= 2, 'transparent at the maximum of the map');
    assert.ok(overlay.bytes[darkest * 4 + 3] >= 150, 'opaque at the minimum of the map');
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.equal(await isHighlighted(), false);
  });

  test('a click on a map pins the highlight; a second click removes it', async () => {
    await maps().nth(4).click();
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.ok(await isHighlighted());
    assert.match(await caption(), /vector 5 /);
    assert.equal(await maps().nth(4).getAttribute('aria-pressed'), 'true');
    await maps().nth(7).click();
    assert.equal(await maps().nth(4).getAttribute('aria-pressed'), 'false', 'only one map is pinned');
    await maps().nth(7).click();
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.equal(await isHighlighted(), false);
  });

  test('keyboard: the grid is one tab stop; arrow keys move, Space pins, Escape removes', async () => {
    const { keyboard } = visit.page;
    const focused = () => visit.page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? '');
    await visit.button('Load weights…').focus();
    await keyboard.press('Tab');
    assert.match(await focused(), /^Vector 8:/, 'the map that had the focus last');
    await keyboard.press('Home');
    assert.match(await focused(), /^Vector 1:/);
    assert.ok(await isHighlighted());
    assert.match(await caption(), /vector 1 /);
    await keyboard.press('ArrowRight');
    assert.match(await caption(), /vector 2 /);
    await keyboard.press('ArrowDown');
    assert.match(await focused(), /^Vector 18:/, 'a row has 16 maps at this width');
    await keyboard.press('ArrowUp');
    await keyboard.press('End');
    assert.match(await focused(), /^Vector 32:/);
    await keyboard.press('ArrowRight');
    assert.match(await focused(), /^Vector 32:/, 'the last map keeps the focus');
    await keyboard.press('Space');
    await keyboard.press('Tab');
    assert.doesNotMatch(await focused(), /^Vector/, 'one Tab leaves the grid');
    assert.ok(await isHighlighted(), 'Space pinned the highlight');
    await keyboard.press('Shift+Tab');
    assert.match(await focused(), /^Vector 32:/);
    await keyboard.press('Escape');
    await keyboard.press('Tab');
    assert.equal(await isHighlighted(), false);
  });

  test('maps and highlight are updated during training', async () => {
    await visit.button('Resume').click();
    await maps().first().hover();
    const overlay = await visit.pixels('highlight');
    const map = await visit.pixels(canvases().first());
    const step = await visit.reading('steps');
    await visit.waitForReading('steps', step + 300);
    await until(async () => !isDeepStrictEqual(await visit.pixels(canvases().first()), map));
    await until(async () => !isDeepStrictEqual(await visit.pixels('highlight'), overlay));
  });

  test('the page reported no problems', () => visit.leave());
});

/** Returns the sum of red, green and blue of every pixel. */
function brightnesses(bytes) {
  return Array.from(
    { length: bytes.length / 4 },
    (_, pixel) => bytes[pixel * 4] + bytes[pixel * 4 + 1] + bytes[pixel * 4 + 2],
  );
}
