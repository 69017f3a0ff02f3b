// The package itself in a browser: on the page's main thread and in a worker, each of its variants, under a strict
// Content-Security-Policy, and with the same bits as in Node.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/lib/commands.mjs';
import { prepareNewerNode } from '../../tools/lib/newer_node.mjs';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage } from '../../support/browser/chromium.mjs';
import { readResult } from './support/exercise_page.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';
import { describeTasks, longestOf, longTask, recordTasks } from './support/thread_tasks.mjs';

/** Neither eval nor code from elsewhere nor inline scripts: what a careful site allows. */
const contentSecurityPolicy = {
  'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
};

describe('the package in a browser', () => {
  let browser;
  let isolated;
  let plain;
  let newerNode;
  before(async () => {
    browser = await launchChromium();
    isolated = await serve(project, { ...isolationHeaders, ...contentSecurityPolicy });
    plain = await serve(project, contentSecurityPolicy);
    newerNode = await prepareNewerNode();
  });
  after(() => Promise.all([browser, isolated, plain].map((opened) => opened.close())));

  for (const simd of ['relaxed', 'baseline']) {
    for (const threads of [2, 1]) {
      for (const where of ['page', 'worker']) {
        test(`${simd}, ${threads} thread(s), in a ${where}: runs, and gives the bits that Node gives`, async (t) => {
          const { result, wasm, trace } = await exerciseIn(isolated, { where, simd, threads });
          assert.deepEqual(wasm, [`cross-attention-${simd}${threads > 1 ? '-threads' : ''}.wasm`]);
          assert.equal(result.runtime.simd, simd);
          assert.equal(result.runtime.threads, threads);
          assert.equal(result.runtime.device, 'wasm');
          assert.equal(result.hashes.awaited, result.hashes.blocking);
          assert.notEqual(result.hashes.blocking, result.hashes.output, 'the update changed the parameters');
          assert.deepEqual(result.hashes, (await exerciseInNode({ simd, threads })).hashes);
          assert.equal(result.memoryInUse, 0);
          checkEventLoop(t, result.turns, trace);
        });
      }
    }
  }

  for (const where of ['page', 'worker']) {
    test(`without isolation, in a ${where}: one thread, and RuntimeInfo says why`, async (t) => {
      const { result, wasm, trace } = await exerciseIn(plain, { where, simd: 'auto', threads: 'auto' });
      assert.deepEqual(wasm, ['cross-attention-relaxed.wasm']);
      assert.equal(result.runtime.threads, 1);
      assert.match(result.runtime.threadsReason, /not cross-origin isolated/);
      assert.deepEqual(result.hashes, (await exerciseInNode({ simd: 'relaxed', threads: 1 })).hashes);
      checkEventLoop(t, result.turns, trace);
    });
  }

  test('by default it takes relaxed SIMD and all cores', async () => {
    const { result } = await exerciseIn(isolated, { where: 'page', simd: 'auto', threads: 'auto' });
    assert.equal(result.runtime.simd, 'relaxed');
    assert.ok(result.runtime.threads > 1);
    assert.match(result.runtime.threadsReason, /cores/);
  });

  /** forwardAsync lets the event loop turn: it computes in short tasks, or on other threads. */
  function checkEventLoop(t, turns, trace) {
    const tasks = trace.between('forwardAsync begins', 'forwardAsync ends');
    const total = tasks.reduce((sum, { processor }) => sum + processor, 0);
    t.diagnostic(
      `forwardAsync: ${total.toFixed(0)} ms of processor time in ${tasks.length} tasks of the calling thread, the ` +
        `longest ${describeTasks(tasks)}; ${turns} other turns of the event loop`,
    );
    assert.ok(turns > 2, `the event loop turned ${turns} times`);
    assert.ok(longestOf(tasks) < longTask, `a task of ${longestOf(tasks)} ms of processor time`);
    // A call that blocks is a single task.
    assert.ok(longestOf(tasks) < total / 2, `one task does ${longestOf(tasks)} ms of ${total} ms`);
  }

  /** The result of the exercise in a page, the .wasm files that it loaded, and the trace of its threads. */
  async function exerciseIn({ origin }, query) {
    const watched = await newWatchedPage(browser, origin);
    const address = `${origin}/tests/browser/pages/package.html?${new URLSearchParams(query)}`;
    try {
      const { result, trace } = await recordTasks(watched.page, () => readResult(watched, address));
      return { ...result, trace };
    } finally {
      await watched.close();
    }
  }

  /** The same in Node: the newer one, for the other has no relaxed SIMD. */
  async function exerciseInNode(options) {
    const program = fileURLToPath(new URL('./support/exercise_in_node.mjs', import.meta.url));
    return JSON.parse(await run(newerNode, [program, JSON.stringify(options)]));
  }
});
