// The built site where its host sends no headers: its service worker isolates it; where there is none, one thread does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCreate } from './support/create_page.mjs';

test('without headers: the service worker isolates the pages, and there are threads', async () => {
  const site = await openCreate({ isolated: false, serviceWorker: true });
  try {
    const visit = await site.visit({ fragment: '#prompt=a+green+ring&seed=9' });
    await visit.page.waitForFunction(() => globalThis.crossOriginIsolated);
    await visit.waitForStatus('finished');
    const threads = visit.page.locator('#runtime-threads');
    assert.ok(Number(await threads.getAttribute('data-value')) > 1, 'threads share memory');
    assert.equal(await visit.prompt.inputValue(), 'a green ring', 'the reload keeps the link');
    await visit.page.getByRole('link', { name: 'Paint by attention' }).click();
    await visit.page.locator('#runtime-isolation[data-value="true"]').waitFor();
    // Requests of the page that the service worker reloaded end with it.
    const troubles = visit.troubles.filter((trouble) => !trouble.includes('net::ERR_ABORTED'));
    assert.deepEqual(troubles, []);
  } finally {
    await site.close();
  }
});

test('without headers and without service workers: one thread, the same picture, and it says why', async () => {
  const [plain, isolated] = [await openCreate({ isolated: false }), await openCreate()];
  try {
    const pictures = [];
    for (const site of [plain, isolated]) {
      const visit = await site.visit();
      await visit.waitForStatus('finished');
      pictures.push(await visit.pixels('picture'));
      const threads = Number(await visit.page.locator('#runtime-threads').getAttribute('data-value'));
      assert.equal(threads === 1, site === plain, `${threads} threads`);
      const reason = await visit.page.locator('#runtime-isolation').innerText();
      assert.match(reason, site === plain ? /Cross-Origin-Opener-Policy/ : /isolated/);
      await visit.leave();
    }
    assert.deepEqual(pictures[0], pictures[1]);
  } finally {
    await plain.close();
    await isolated.close();
  }
});
