// "Text to image": prompts, sampling step by step, files, links and the gallery.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { PNG } from 'pngjs';
import { differingPixels, openCreate } from './support/create_page.mjs';
import { processorSeconds } from './support/processor_seconds.mjs';
import { describeTasks, longestOf, longTask, recordTasks } from './support/thread_tasks.mjs';

const firstPrompt = 'a red circle above a blue square';
/**
 * Processor time of all threads of the page. On an idle machine with two cores, the wall time is half of it.
 */
const maxSecondsToFirstPicture = 4;

describe('text to image', () => {
  let site;
  let visit;
  /** The picture that the page draws when it is opened. */
  let first;
  /** Processor time and wall time from the request of the page to the first picture. */
  let secondsToFirst;
  before(async () => {
    site = await openCreate();
    visit = await site.visit({ viewport: { width: 1280, height: 1000 } });
    await visit.waitForStatus('finished');
    const clock = (await visit.page.evaluate(() => performance.now())) / 1000;
    secondsToFirst = { processor: await processorSeconds(visit.page), clock };
    first = await visit.pixels('picture');
  });
  after(() => site.close());

  test('the page draws its first picture quickly and without input', async (t) => {
    const { processor, clock } = secondsToFirst;
    t.diagnostic(`${processor.toFixed(2)} s of processor time, within ${clock.toFixed(2)} s of the request`);
    assert.ok(processor < maxSecondsToFirstPicture, `the page used ${processor} s of processor time`);
    assert.equal(await visit.prompt.inputValue(), firstPrompt);
    assert.equal(await visit.steps.count(), 20);
    assert.equal(first.size, 32);
    // Red and blue, as in the prompt: a part of the picture each.
    const [reds, blues] = [0, 2].map((channel) => countOf(first, channel));
    t.diagnostic(`${reds} pixels are red, ${blues} blue`);
    for (const count of [reds, blues]) assert.ok(count > 15 && count < 700, `${reds} red, ${blues} blue`);
  });

  test('a new prompt is drawn step by step; earlier steps can be shown', async () => {
    await visit.slide('Steps', 12);
    const other = await visit.generate('a yellow star on a black background');
    assert.ok(differingPixels(other, first) > 500);
    assert.equal(await visit.steps.count(), 12);
    const thumbnails = [];
    for (const canvas of await visit.page.locator('#strip canvas').all())
      thumbnails.push((await visit.pixels(canvas)).bytes.join());
    assert.equal(new Set(thumbnails).size, 12, 'every step has a different estimate');
    assert.equal(thumbnails.at(-1), other.bytes.join());
    await visit.button('Step 3').click();
    assert.equal((await visit.pixels('picture')).bytes.join(), thumbnails[2]);
    assert.equal(await visit.button('Step 3').getAttribute('aria-current'), 'step');
    assert.match(await visit.page.locator('#picture').getAttribute('aria-label'), /after step 3 of 12/);
    await visit.button('Step 3').press('End');
    assert.equal(await visit.page.evaluate(() => document.activeElement.ariaLabel), 'Step 12');
  });

  test('prompt, seed and settings determine the picture', async () => {
    await visit.slide('Steps', 20);
    assert.deepEqual(await visit.generate(firstPrompt), first);
    const seed = visit.page.getByLabel('Seed', { exact: true });
    await visit.waitForPicture(() => visit.button('Another seed').click());
    assert.notEqual(await seed.inputValue(), '1');
    assert.ok(differingPixels(await visit.pixels('picture'), first) > 0);
    await seed.fill('1');
    assert.deepEqual(await visit.generate(), first);
  });

  test('unknown words are listed immediately, and Generate is disabled', async () => {
    await visit.prompt.fill('a red dodecahedron above a blue wombat');
    const check = visit.page.locator('#prompt-check');
    await check.filter({ hasText: 'dodecahedron' }).waitFor();
    assert.match(await check.innerText(), /“dodecahedron”, “wombat”/);
    assert.ok(await visit.button('Generate').isDisabled());
    await visit.page.locator('.vocabulary summary').click();
    assert.ok(await visit.page.locator('#vocabulary').getByText('triangle', { exact: true }).isVisible());
    await visit.prompt.fill(firstPrompt);
    await check.filter({ hasNotText: /./ }).waitFor({ state: 'attached' });
    assert.ok(await visit.button('Generate').isEnabled());
  });

  test('Surprise me: a random prompt with known words', async () => {
    await visit.waitForPicture(() => visit.button('Surprise me').click());
    assert.notEqual(await visit.prompt.inputValue(), firstPrompt);
    assert.equal(await visit.notice(), '');
  });

  test('Cancel stops the sampling between two steps', async () => {
    await visit.slide('Steps', 50);
    await visit.prompt.fill(firstPrompt);
    await visit.page.evaluate(cancelAtFirstStep);
    await visit.button('Generate').click();
    await visit.waitForStatus('cancelled');
    const count = await visit.steps.count();
    assert.ok(count < 50, `${count} steps were done`);
    await wait(200);
    assert.equal(await visit.steps.count(), count, 'no further step');
    await visit.slide('Steps', 20);
    assert.deepEqual(await visit.generate(), first);
  });

  test('Save PNG: pixels are scaled by 8, the name contains the prompt and the seed', async () => {
    await visit.edit('a green circle above a blue square');
    const { name, bytes } = await visit.download(() => visit.button('Save PNG').click());
    assert.equal(name, 'a-green-circle-above-a-blue-square-1.png');
    const png = PNG.sync.read(bytes);
    assert.deepEqual([png.width, png.height], [256, 256]);
    const shown = await visit.pixels('picture');
    const small = shown.bytes.map((_, index) => {
      const [pixel, channel] = [Math.floor(index / 4), index % 4];
      const [x, y] = [(pixel % 32) * 8 + 4, Math.floor(pixel / 32) * 8 + 4];
      return png.data[(y * 256 + x) * 4 + channel];
    });
    assert.deepEqual(small, shown.bytes);
  });

  test('the link restores the same pictures, including the edit', async () => {
    await visit.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await visit.clickAndWaitForText('Copy link', 'Copied');
    const link = await visit.page.evaluate(() => navigator.clipboard.readText());
    assert.equal(link, visit.page.url());
    const other = await site.visit({ fragment: new URL(link).hash });
    await other.waitForStatus('finished');
    assert.deepEqual(await other.pixels('picture'), await visit.pixels('picture'));
    assert.deepEqual(await other.pixels('before'), first);
    assert.equal(await other.editedPrompt.inputValue(), 'a green circle above a blue square');
    await other.page.context().clearPermissions();
    await other.page.evaluate(() => (navigator.clipboard.writeText = () => Promise.reject(new Error())));
    await other.button('Copy link').click();
    assert.equal(await other.page.getByLabel('Copy this link').inputValue(), link);
    await other.leave();
  });

  test('invalid settings in a link are ignored', async () => {
    const other = await site.visit({
      fragment: '#prompt=a+red+ring&steps=1e9&seed=-3&guidance=x&weights=9,2',
    });
    await other.page.locator('#notice').waitFor();
    assert.match(await other.notice(), /weights/i, 'two weights do not fit three words');
    assert.equal(await other.page.getByLabel('Steps', { exact: true }).inputValue(), '20');
    assert.equal(await other.page.getByLabel('Seed', { exact: true }).inputValue(), '1');
    await other.leave();
  });

  test('the gallery restores a picture, its prompt and its settings', async () => {
    const count = await visit.gallery.count();
    const last = visit.gallery.last();
    assert.match(await last.getAttribute('aria-label'), new RegExp(`${firstPrompt}, seed 1`));
    assert.deepEqual(await visit.waitForPicture(() => last.click()), first);
    assert.equal(await visit.prompt.inputValue(), firstPrompt);
    assert.equal(await visit.gallery.count(), count, 'no picture was added');
    assert.equal(await visit.page.locator('#before-figure').isVisible(), false);
  });

  test('the main thread has no long task during sampling', async (t) => {
    const { trace } = await recordTasks(visit.page, async () => {
      for (const seed of ['5', '6', '7']) {
        await visit.page.getByLabel('Seed', { exact: true }).fill(seed);
        await visit.generate();
      }
      await visit.edit('a purple circle above a blue square');
    });
    const tasks = trace.mainThread;
    t.diagnostic(`longest of ${tasks.length} tasks of the main thread: ${describeTasks(tasks)}`);
    assert.ok(longestOf(tasks) < longTask, `a task of ${longestOf(tasks)} ms of processor time`);
  });

  test('the page reported no problems', () => visit.leave());
});

/** Runs in the page: clicks Cancel after the first step of the next picture. */
function cancelAtFirstStep() {
  const strip = document.getElementById('strip');
  const observer = new MutationObserver(() => {
    if (strip.childElementCount !== 1) return;
    observer.disconnect();
    document.getElementById('cancel').click();
  });
  observer.observe(strip, { childList: true });
}

/** Counts the pixels in which a channel is larger than the others by more than 60. */
function countOf({ bytes }, channel) {
  let count = 0;
  for (let start = 0; start < bytes.length; start += 4) {
    const others = [0, 1, 2].filter((other) => other !== channel).map((other) => bytes[start + other]);
    if (bytes[start + channel] > Math.max(...others) + 60) count++;
  }
  return count;
}
