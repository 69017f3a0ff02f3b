// What the buttons and menus of the page do.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { openSite } from '../../support/browser/paint_page.mjs';

/** A likeness that a painting has only after it learned for a while: flat colour is below 14 dB. */
const someLikeness = 18;

describe('controls', () => {
  let site;
  let visit;
  before(async () => {
    site = await openSite();
    visit = await site.visit();
    await visit.waitForReading('psnr', someLikeness);
  });
  after(() => site.close());

  test('Pause stops the training, Resume goes on from there', async () => {
    await visit.pause();
    const [step, elapsed] = [await visit.reading('steps'), await visit.reading('elapsed')];
    const painting = await visit.pixels('painting');
    await wait(400);
    assert.equal(await visit.reading('steps'), step);
    assert.equal(await visit.reading('elapsed'), elapsed, 'a pause is not training time');
    assert.deepEqual(await visit.pixels('painting'), painting);

    await visit.button('Resume').click();
    await visit.waitForStatus('training');
    await visit.waitForReading('steps', step + 1);
    assert.ok(await visit.button('Pause').isVisible());
  });

  test('Restart begins anew, and the painting comes out the same again', async () => {
    await visit.pause();
    const before = { step: await visit.reading('steps'), psnr: await visit.reading('psnr') };
    await visit.button('Restart').click();
    await visit.waitForStatus('training');
    await waitForStepBelow(before.step);
    assert.ok((await visit.reading('psnr')) < before.psnr, 'what was learned is forgotten');
    await visit.waitForReading('psnr', someLikeness);
  });

  for (const size of [32, 48, 96, 64]) {
    test(`Pixels: ${size} × ${size}`, async () => {
      await choose('Pixels', size);
      await visit.waitForReading('steps', 1);
      assert.equal((await visit.pixels('target')).size, size);
      assert.equal((await visit.pixels('painting')).size, size);
      assert.equal(await mapSize(), size);
    });
  }

  for (const length of [8, 16, 64, 32]) {
    test(`Vectors: ${length}, each with a map`, async () => {
      await choose('Vectors', length);
      await visit.waitForReading('steps', 1);
      assert.equal(await visit.page.locator('#attention-grid canvas').count(), length);
    });
  }

  for (const heads of [2, 4, 8, 1]) {
    test(`Heads: ${heads}, and it learns`, async () => {
      await choose('Heads', heads);
      await visit.waitForReading('psnr', someLikeness);
    });
  }

  test('menus keep the other choices', async () => {
    await visit.menu('Pixels').selectOption('32');
    await visit.menu('Heads').selectOption('4');
    await visit.menu('Vectors').selectOption('16');
    await visit.waitForStatus('training');
    await visit.page.waitForFunction(() => document.querySelectorAll('#attention-grid canvas').length === 16);
    const chosen = ['Pixels', 'Heads', 'Vectors'].map((name) => visit.menu(name).inputValue());
    assert.deepEqual(await Promise.all(chosen), ['32', '4', '16']);
  });

  test('a choice while paused starts the training again', async () => {
    await visit.waitForReading('steps', 5);
    await visit.pause();
    await visit.menu('Pixels').selectOption('48');
    await visit.waitForStatus('training');
    assert.equal((await visit.pixels('painting')).size, 48);
  });

  test('did nothing that it must not do', () => visit.leave());

  /** Chooses, and waits until the painting has begun anew. */
  async function choose(name, value) {
    // Far enough that the first steps of the new painting are told from these.
    await visit.waitForReading('steps', 100);
    const step = await visit.reading('steps');
    await visit.menu(name).selectOption(String(value));
    await waitForStepBelow(step);
  }

  function waitForStepBelow(step) {
    return visit.page.waitForFunction(
      (bound) => Number(document.getElementById('steps').dataset.value) < bound,
      step,
    );
  }

  function mapSize() {
    return visit.page
      .locator('#attention-grid canvas')
      .first()
      .evaluate((canvas) => canvas.width);
  }
});
