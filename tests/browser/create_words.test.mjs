// "Text to image": attention maps of words, weights of words, and edits of a word.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { differingPixels, openCreate } from './support/create_page.mjs';
import { until } from './support/until.mjs';

const firstPrompt = 'a red circle above a blue square';

describe('the words of a prompt', () => {
  let site;
  let visit;
  /** The picture of the first prompt. */
  let first;
  before(async () => {
    site = await openCreate();
    visit = await site.visit({ viewport: { width: 1280, height: 1000 } });
    await visit.waitForStatus('finished');
    first = await visit.pixels('picture');
  });
  after(() => site.close());

  test('a word highlights its part of the picture, by pointer, click and keyboard', async () => {
    const isHighlighted = () =>
      visit.page.locator('#veil').evaluate((canvas) => getComputedStyle(canvas).opacity === '1');
    assert.deepEqual(
      await visit.page.locator('.word-map span').allInnerTexts(),
      firstPrompt.split(' '),
      'one map for every word',
    );
    await visit.word(2).hover();
    assert.ok(await isHighlighted());
    assert.match(await visit.caption.innerText(), /“circle”/);
    // The overlay is most transparent where the map is brightest.
    const [overlay, map] = [await visit.pixels('veil'), await visit.pixels(visit.word(2).locator('canvas'))];
    assert.ok(overlay.bytes[brightestPixel(map) * 4 + 3] <= 2);
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.equal(await isHighlighted(), false);
    assert.equal(await visit.caption.innerText(), firstPrompt);

    await visit.word(6).click();
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.match(await visit.caption.innerText(), /“square”/);
    assert.equal(await visit.word(6).getAttribute('aria-pressed'), 'true');
    await visit.word(6).press('Home');
    assert.match(await visit.caption.innerText(), /“a”/);
    await visit.page.keyboard.press('ArrowRight');
    assert.match(await visit.caption.innerText(), /“red”/);
    await visit.page.keyboard.press('Tab');
    const label = () => visit.page.evaluate(() => document.activeElement.ariaLabel);
    assert.equal(await label(), 'Weight of “red”', 'the slider of a word follows the word');
    await visit.word(1).press('Escape');
    await visit.prompt.focus();
    assert.equal(await isHighlighted(), false);
  });

  test('a block and a head can be chosen; each step has its maps', async () => {
    const canvas = visit.word(2).locator('canvas');
    const all = await visit.pixels(canvas);
    const choice = visit.page.getByLabel('Attention of');
    const seen = [];
    for (const value of ['0', '4', '4 1']) {
      const before = await visit.pixels(canvas);
      await choice.selectOption(value);
      await until(async () => differingPixels(await visit.pixels(canvas), before) > 0);
      seen.push((await visit.pixels(canvas)).bytes.join());
    }
    assert.equal(new Set(seen).size, 3);
    await visit.button('Step 2').click();
    assert.notEqual((await visit.pixels(canvas)).bytes.join(), seen[2]);
    await visit.button('Step 20').click();
    assert.equal((await visit.pixels(canvas)).bytes.join(), seen[2]);
    await choice.selectOption('');
    await until(async () => differingPixels(await visit.pixels(canvas), all) === 0);
  });

  test('the weight of a word can be 0, and can be reset', async () => {
    const without = await visit.waitForPicture(() => visit.page.evaluate(setLastWeight, 0));
    assert.ok(differingPixels(without, first, 8) > 10, 'the picture has changed');
    assert.match(visit.page.url(), /weights=1%2C1%2C1%2C1%2C1%2C1%2C0/);
    assert.deepEqual(await visit.waitForPicture(() => visit.button('Reset weights').click()), first);
  });

  test('an edit replaces a word and changes only a part of the picture', async (t) => {
    const edited = await visit.edit('a green circle above a blue square');
    assert.deepEqual(await visit.pixels('before'), first);
    const changed = differingPixels(edited, first, 32);
    t.diagnostic(`${changed} of 1024 pixels have changed by more than 32 levels`);
    assert.ok(changed > 10, 'the circle has changed');
    // The square and most of the background are unchanged. A picture that is drawn again changes more.
    assert.ok(changed < 512, `${changed} pixels have changed`);
    assert.equal(await visit.prompt.inputValue(), firstPrompt);
    await visit.button('Difference').click();
    const difference = await visit.pixels('difference');
    assert.ok(await visit.page.locator('#difference').isVisible());
    assert.ok(
      differingPixels(difference, { bytes: difference.bytes.map((_, i) => difference.bytes[i % 4]) }) > 0,
    );
    await visit.button('Difference').click();
    assert.equal(await visit.page.locator('#difference').isVisible(), false);
  });

  test('the page reported no problems', () => visit.leave());
});

/** Runs in the page: moves and releases the slider of the last word. */
function setLastWeight(weight) {
  const slider = [...document.querySelectorAll('.word input')].at(-1);
  slider.value = String(weight);
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  slider.dispatchEvent(new Event('change', { bubbles: true }));
}

const brightnessOf = ({ bytes }, pixel) => bytes[pixel * 4] + bytes[pixel * 4 + 1] + bytes[pixel * 4 + 2];

function brightestPixel(map) {
  const pixels = Array.from({ length: map.size ** 2 }, (_, pixel) => pixel);
  return pixels.reduce((best, pixel) => (brightnessOf(map, pixel) > brightnessOf(map, best) ? pixel : best));
}
