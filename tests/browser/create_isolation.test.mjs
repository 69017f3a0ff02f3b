// The built site on a host without isolation headers: its service worker isolates the pages; without it, they
// use one thread.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCreate } from './support/create_page.mjs';

test('without headers: the service worker isolates the pages, which use threads', async () => {
  const site = await openCreate({ isolated: false, serviceWorker: true });
  try {
    const visit = await site.visit({ fragment: '#prompt=a+green+ring&seed=9' });
    await visit.page.waitForFunction(() => globalThis.crossOriginIsolated);
    await visit.waitForStatus('finished');
    const threads = visit.page.locator('#runtime-threads');
    assert.ok(Number(await threads.getAttribute('data-value')) > 1, 'threads share memory');
    assert.equal(await visit.prompt.inputValue(), 'a green ring', 'the reload preserves the link');
    await visit.page.getByRole('link', { name: 'Paint by attention' }).click();
    await visit.page.locator('#runtime-isolation[data-value="true"]').waitFor();
    // The service worker reloads the page, which aborts its requests.
    const problems = visit.problems.filter((problem) => !problem.includes('net::ERR_ABORTED'));
    assert.deepEqual(problems, []);
  } finally {
    await site.close();
  }
});

test('without headers and service workers: one thread, the same picture, and the reason', async () => {
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
