// The package in a browser: on the main thread and in a worker, all variants, under a strict
// Content-Security-Policy, with the same bits as in Node.
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

/** A strict policy: no eval, no code from other origins, no inline scripts. */
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
  after(() => Promise.all([browser, isolated, plain].map((resource) => resource.close())));

  for (const simd of ['relaxed', 'baseline']) {
    for (const threads of [2, 1]) {
      for (const where of ['page', 'worker']) {
        test(`${simd}, ${threads} thread(s), in a ${where}: bit-identical to Node`, async (t) => {
          const { result, wasm, trace } = await exerciseIn(isolated, { where, simd, threads });
          assert.deepEqual(wasm, [`cross-attention-${simd}${threads > 1 ? '-threads' : ''}.wasm`]);
          assert.equal(result.runtime.simd, simd);
          assert.equal(result.runtime.threads, threads);
          assert.equal(result.runtime.device, 'wasm');
          assert.equal(result.hashes.awaited, result.hashes.blocking);
          assert.notEqual(result.hashes.blocking, result.hashes.output, 'the update changes the parameters');
          assert.deepEqual(result.hashes, (await exerciseInNode({ simd, threads })).hashes);
          assert.equal(result.memoryInUse, 0);
          checkEventLoop(t, result.turns, trace);
        });
      }
    }
  }

  for (const where of ['page', 'worker']) {
    test(`without isolation, in a ${where}: one thread, and RuntimeInfo has the reason`, async (t) => {
      const { result, wasm, trace } = await exerciseIn(plain, { where, simd: 'auto', threads: 'auto' });
      assert.deepEqual(wasm, ['cross-attention-relaxed.wasm']);
      assert.equal(result.runtime.threads, 1);
      assert.match(result.runtime.threadsReason, /not cross-origin isolated/);
      assert.deepEqual(result.hashes, (await exerciseInNode({ simd: 'relaxed', threads: 1 })).hashes);
      checkEventLoop(t, result.turns, trace);
    });
  }

  test('the default is relaxed SIMD and all cores', async () => {
    const { result } = await exerciseIn(isolated, { where: 'page', simd: 'auto', threads: 'auto' });
    assert.equal(result.runtime.simd, 'relaxed');
    assert.ok(result.runtime.threads > 1);
    assert.match(result.runtime.threadsReason, /cores/);
  });

  /**
   * Asserts that forwardAsync does not block the event loop: it computes in short tasks, or on other threads.
   */
  function checkEventLoop(t, turns, trace) {
    const tasks = trace.between('forwardAsync begins', 'forwardAsync ends');
    const total = tasks.reduce((sum, { processor }) => sum + processor, 0);
    t.diagnostic(
      `forwardAsync: ${total.toFixed(0)} ms of processor time in ${tasks.length} tasks of the calling ` +
        `thread, the longest ${describeTasks(tasks)}; ${turns} other turns of the event loop`,
    );
    assert.ok(turns > 2, `the event loop turned ${turns} times`);
    assert.ok(longestOf(tasks) < longTask, `a task of ${longestOf(tasks)} ms of processor time`);
    // A blocking call is a single task.
    assert.ok(longestOf(tasks) < total / 2, `one task has ${longestOf(tasks)} ms of ${total} ms`);
  }

  /**
   * Returns the result of the exercise in a page, the .wasm files that it loaded, and the trace of its
   * threads.
   */
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

  /** Results in the newer Node (the other version may lack relaxed SIMD), by options. */
  const inNode = new Map();
  async function exerciseInNode(options) {
    const key = JSON.stringify(options);
    if (!inNode.has(key)) {
      const program = fileURLToPath(new URL('./support/exercise_in_node.mjs', import.meta.url));
      inNode.set(key, JSON.parse(await run(newerNode, [program, key])));
    }
    return inNode.get(key);
  }
});
