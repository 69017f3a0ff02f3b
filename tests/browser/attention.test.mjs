// The attention maps: what they show, and how a visitor lights up a vector's part of the painting.
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
  const isLit = () =>
    visit.page.locator('#highlight').evaluate((canvas) => getComputedStyle(canvas).opacity === '1');

  test('one a vector, and their shares are all of the attention', async (t) => {
    assert.equal(await maps().count(), 32);
    const shares = await visit.page
      .locator('.attention-map [data-value]')
      .evaluateAll((places) => places.map((place) => Number(place.dataset.value)));
    assert.equal(shares.length, 32);
    assert.ok(shares.every((share) => share >= 0 && share <= 1));
    const sum = shares.reduce((total, share) => total + share, 0);
    t.diagnostic(`shares add up to 1 ${sum < 1 ? '−' : '+'} ${Math.abs(sum - 1).toExponential(1)}`);
    // Every pixel's float32 probabilities carry a few roundings of 2⁻²⁴ each: exponential, sum, division.
    assert.ok(Math.abs(sum - 1) <= 8 * 2 ** -24, `shares add up to ${sum}`);
    const texts = await maps().allInnerTexts();
    for (const [index, text] of texts.entries()) {
      const shown = Number(text.replace('%', '').trim()) / 100;
      // Shown with one decimal of a per cent, or none from ten on.
      assert.ok(
        Math.abs(shown - shares[index]) <= (shown < 0.1 ? 0.0005 : 0.005) + 1e-9,
        `${text}: ${shares[index]}`,
      );
    }
  });

  test('every map has its brightest place, and the vectors look at different ones', async () => {
    const drawn = [];
    for (const canvas of await canvases().all()) {
      const { bytes } = await visit.pixels(canvas);
      drawn.push({ bytes, brightest: Math.max(...brightnesses(bytes)) });
    }
    // The last colour of the scale is 255, 247, 214; a map's peak may be rounded down by one of its 255 levels.
    for (const { brightest } of drawn)
      assert.ok(brightest >= 700, `a map's brightest pixel has ${brightest} of 716`);
    assert.equal(new Set(drawn.map(({ bytes }) => bytes.join())).size, drawn.length);
  });

  test('pointing at a map lights up its part of the painting, and only while pointing', async () => {
    assert.equal(await isLit(), false);
    await maps().nth(2).hover();
    assert.ok(await isLit());
    assert.match(await caption(), /vector 3 /);
    // The veil is thinnest where the map is brightest.
    const [veil, map] = [await visit.pixels('highlight'), await visit.pixels(canvases().nth(2))];
    const levels = brightnesses(map.bytes);
    const brightest = levels.indexOf(Math.max(...levels));
    const darkest = levels.indexOf(Math.min(...levels));
    assert.ok(veil.bytes[brightest * 4 + 3] <= 2, 'clear where the vector is looked at most');
    assert.ok(veil.bytes[darkest * 4 + 3] >= 150, 'dark where it is not');
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.equal(await isLit(), false);
  });

  test('pressing a map keeps the light on; pressing again takes it away', async () => {
    await maps().nth(4).click();
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.ok(await isLit());
    assert.match(await caption(), /vector 5 /);
    assert.equal(await maps().nth(4).getAttribute('aria-pressed'), 'true');
    await maps().nth(7).click();
    assert.equal(await maps().nth(4).getAttribute('aria-pressed'), 'false', 'one at a time');
    await maps().nth(7).click();
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.equal(await isLit(), false);
  });

  test('the keyboard does the same: one stop of the Tab key, arrows inside, Space keeps, Escape ends', async () => {
    const { keyboard } = visit.page;
    const focused = () => visit.page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? '');
    await visit.button('Load weights…').focus();
    await keyboard.press('Tab');
    assert.match(await focused(), /^Vector 8:/, 'the map that was last in focus');
    await keyboard.press('Home');
    assert.match(await focused(), /^Vector 1:/);
    assert.ok(await isLit());
    assert.match(await caption(), /vector 1 /);
    await keyboard.press('ArrowRight');
    assert.match(await caption(), /vector 2 /);
    await keyboard.press('ArrowDown');
    assert.match(await focused(), /^Vector 18:/, 'sixteen maps a row at this width');
    await keyboard.press('ArrowUp');
    await keyboard.press('End');
    assert.match(await focused(), /^Vector 32:/);
    await keyboard.press('ArrowRight');
    assert.match(await focused(), /^Vector 32:/, 'the last one stays');
    await keyboard.press('Space');
    await keyboard.press('Tab');
    assert.doesNotMatch(await focused(), /^Vector/, 'the grid is left with one Tab');
    assert.ok(await isLit(), 'kept by Space');
    await keyboard.press('Shift+Tab');
    assert.match(await focused(), /^Vector 32:/);
    await keyboard.press('Escape');
    await keyboard.press('Tab');
    assert.equal(await isLit(), false);
  });

  test('the maps go on with the training, also under the light', async () => {
    await visit.button('Resume').click();
    await maps().first().hover();
    const veil = await visit.pixels('highlight');
    const map = await visit.pixels(canvases().first());
    const step = await visit.reading('steps');
    await visit.waitForReading('steps', step + 300);
    await until(async () => !isDeepStrictEqual(await visit.pixels(canvases().first()), map));
    await until(async () => !isDeepStrictEqual(await visit.pixels('highlight'), veil));
  });

  test('did nothing that it must not do', () => visit.leave());
});

/** Red, green and blue of every pixel added up. */
function brightnesses(bytes) {
  return Array.from(
    { length: bytes.length / 4 },
    (_, pixel) => bytes[pixel * 4] + bytes[pixel * 4 + 1] + bytes[pixel * 4 + 2],
  );
}
