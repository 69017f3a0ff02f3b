// The buttons and menus of "Paint by attention".
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { openSite } from '../../support/browser/paint_page.mjs';

/** A PSNR that requires some training: a single colour gives less than 14 dB. */
const trainedPsnr = 18;

describe('controls', () => {
  let site;
  let visit;
  before(async () => {
    site = await openSite();
    visit = await site.visit();
    await visit.waitForReading('psnr', trainedPsnr);
  });
  after(() => site.close());

  test('Pause stops the training, Resume continues it', async () => {
    await visit.pause();
    const [step, elapsed] = [await visit.reading('steps'), await visit.reading('elapsed')];
    const painting = await visit.pixels('painting');
    await wait(400);
    assert.equal(await visit.reading('steps'), step);
    assert.equal(await visit.reading('elapsed'), elapsed, 'training time does not include pauses');
    assert.deepEqual(await visit.pixels('painting'), painting);

    await visit.button('Resume').click();
    await visit.waitForStatus('training');
    await visit.waitForReading('steps', step + 1);
    assert.ok(await visit.button('Pause').isVisible());
  });

  test('Restart resets the painting, which is then trained again', async () => {
    await visit.pause();
    const before = { step: await visit.reading('steps'), psnr: await visit.reading('psnr') };
    await visit.button('Restart').click();
    await visit.waitForStatus('training');
    await waitForStepBelow(before.step);
    assert.ok((await visit.reading('psnr')) < before.psnr, 'the weights were reset');
    await visit.waitForReading('psnr', trainedPsnr);
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
    test(`Vectors: ${length}, one map each`, async () => {
      await choose('Vectors', length);
      await visit.waitForReading('steps', 1);
      assert.equal(await visit.page.locator('#attention-grid canvas').count(), length);
    });
  }

  for (const heads of [2, 4, 8, 1]) {
    test(`Heads: ${heads}, the training converges`, async () => {
      await choose('Heads', heads);
      await visit.waitForReading('psnr', trainedPsnr);
    });
  }

  test('a menu does not change the other settings', async () => {
    await visit.menu('Pixels').selectOption('32');
    await visit.menu('Heads').selectOption('4');
    await visit.menu('Vectors').selectOption('16');
    await visit.waitForStatus('training');
    await visit.page.waitForFunction(() => document.querySelectorAll('#attention-grid canvas').length === 16);
    const chosen = ['Pixels', 'Heads', 'Vectors'].map((name) => visit.menu(name).inputValue());
    assert.deepEqual(await Promise.all(chosen), ['32', '4', '16']);
  });

  test('a new setting during a pause restarts the training', async () => {
    await visit.waitForReading('steps', 5);
    await visit.pause();
    await visit.menu('Pixels').selectOption('48');
    await visit.waitForStatus('training');
    assert.equal((await visit.pixels('painting')).size, 48);
  });

  test('the page reported no problems', () => visit.leave());

  /** Changes a setting and waits until the training has restarted. */
  async function choose(name, value) {
    // The first steps after the restart must have smaller numbers than this one.
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
