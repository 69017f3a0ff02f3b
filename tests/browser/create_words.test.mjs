// "Text to image": what each word looks at, how much it counts, and a word that is changed while the picture is kept.
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

  test('a word lights up its part of the picture, by pointer, press and keyboard', async () => {
    const isLit = () =>
      visit.page.locator('#veil').evaluate((veil) => getComputedStyle(veil).opacity === '1');
    assert.deepEqual(
      await visit.page.locator('.word-map span').allInnerTexts(),
      firstPrompt.split(' '),
      'a chip for every word',
    );
    await visit.word(2).hover();
    assert.ok(await isLit());
    assert.match(await visit.caption.innerText(), /“circle”/);
    // The veil is thinnest where the map is brightest.
    const [veil, map] = [await visit.pixels('veil'), await visit.pixels(visit.word(2).locator('canvas'))];
    assert.ok(veil.bytes[brightestPlace(map) * 4 + 3] <= 2);
    await visit.page.getByRole('heading', { level: 1 }).hover();
    assert.equal(await isLit(), false);
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
    assert.equal(await label(), 'Weight of “red”', 'a word’s slider is the stop after it');
    await visit.word(1).press('Escape');
    await visit.prompt.focus();
    assert.equal(await isLit(), false);
  });

  test('a block and a head can be chosen; other steps have their own maps of it', async () => {
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

  test('a word can count for nothing, and again as before', async () => {
    const without = await visit.drawn(() => visit.page.evaluate(weighLastWord, 0));
    assert.ok(differingPixels(without, first, 8) > 10, 'the picture is another one');
    assert.match(visit.page.url(), /weights=1%2C1%2C1%2C1%2C1%2C1%2C0/);
    assert.deepEqual(await visit.drawn(() => visit.button('Reset weights').click()), first);
  });

  test('a word is replaced and the picture kept: before and after, and what has changed', async (t) => {
    const edited = await visit.edit('a green circle above a blue square');
    assert.deepEqual(await visit.pixels('before'), first);
    const changed = differingPixels(edited, first, 32);
    t.diagnostic(`${changed} of 1024 pixels have changed by more than 32 levels`);
    assert.ok(changed > 10, 'the circle is another one');
    // The square, and most of the ground: an edit that begins anew changes more.
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

  test('did nothing that it must not do', () => visit.leave());
});

/** In the page: the last word's slider, moved and let go. */
function weighLastWord(weight) {
  const slider = [...document.querySelectorAll('.word input')].at(-1);
  slider.value = String(weight);
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  slider.dispatchEvent(new Event('change', { bubbles: true }));
}

const brightnessOf = ({ bytes }, place) => bytes[place * 4] + bytes[place * 4 + 1] + bytes[place * 4 + 2];

function brightestPlace(map) {
  const places = Array.from({ length: map.size ** 2 }, (_, place) => place);
  return places.reduce((best, place) => (brightnessOf(map, place) > brightnessOf(map, best) ? place : best));
}
