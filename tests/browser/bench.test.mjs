// The benchmark page: every contender runs in workers and gives the same result, and the page stays
// responsive and stable.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isFullRun } from '../support/full_run.mjs';
import { openBenchmark } from './support/bench_page.mjs';
import { axeViolations, findClippedElements } from './support/readability.mjs';
import { describeTasks, longestOf, longTask, recordTasks } from './support/thread_tasks.mjs';

const ours = 'relaxed';
const peers = ['onnxruntime-web-fused', 'onnxruntime-web', 'tensorflow', 'jax'];
/** Relative tolerance of the download sizes that the page shows, which are rounded. */
const downloadTolerance = 0.1;

const isPositive = (value) => Number.isFinite(value) && value > 0;

describe('the benchmark', () => {
  let site;
  before(async () => (site = await openBenchmark()));
  after(() => site.close());

  const title = 'all contenders, one thread: results, no layout shifts, download sizes as shown';
  test(title, { skip: !isFullRun && 'measures for 40 s; runs in npm run test:full' }, async (t) => {
    const visit = await site.visit();
    const { page } = visit;
    const bytes = downloadedBytes(visit);
    await page.evaluate(recordLayoutShifts);
    await visit.chooseAll({
      shape: ['tiny'],
      contender: [ours, 'baseline', ...peers],
      task: ['forward'],
      threads: ['1'],
    });
    const now = () => page.evaluate(() => performance.now());
    const clicked = await now();
    await visit.button('Start').click();
    // After the first chart, the page only shows results: starting the run is done.
    await page.locator('#chart svg').waitFor();
    const charted = await now();
    const { trace } = await recordTasks(page, () => visit.waitForStatus('finished'));
    const tasks = trace.mainThread;
    t.diagnostic(`longest of ${tasks.length} tasks of the main thread: ${describeTasks(tasks)}`);
    assert.ok(longestOf(tasks) < longTask, `a task of ${longestOf(tasks)} ms of processor time`);

    const rows = await visit.rows('forward', 'tiny');
    assert.equal(Object.keys(rows).length, 6);
    for (const [title, row] of Object.entries(rows)) {
      assert.equal(typeof row, 'object', `${title}: ${row}`);
      assert.ok(isPositive(row['Time']) && isPositive(row['GFLOP/s']), `${title}: ${JSON.stringify(row)}`);
      const isOurs = title.startsWith('This package');
      assert.equal(isPositive(row['Of the ceiling']), isOurs, `${title}: share of the ceiling`);
      assert.equal(isPositive(row['Memory']), isOurs, `${title}: memory`);
      assert.equal(isPositive(row['Ours is']), !isOurs, `${title}: the ratio`);
      t.diagnostic(
        `${title}: ${row['Time'].toFixed(3)} ms, ours is ${row['Ours is']?.toFixed(2) ?? '–'} × as fast`,
      );
    }
    assert.match(await page.locator('#headline').innerText(), /[\d.]+ GFLOP\/s[^]*[\d.]+ %[^]*[\d.]+ ×/);

    const { name, text } = await visit.download('Download JSON');
    assert.equal(name, 'benchmark.json');
    const { machine, measurements } = JSON.parse(text);
    assert.equal(machine.crossOriginIsolated, true);
    assert.equal(machine.simd, 'relaxed');
    assert.ok(machine.webgpu.length > 0);
    assert.ok((await page.locator('#machine').innerText()).includes(machine.webgpu));
    const [{ contenders, notMeasured }] = measurements;
    assert.deepEqual(notMeasured, [], 'contenders with wrong results are not measured');
    for (const { title, rounds, differenceFromFirst } of contenders) {
      assert.ok(rounds.length >= 3, `${title}: ${rounds.length} rounds`);
      assert.ok(differenceFromFirst < 1e-4, `${title} differs by ${differenceFromFirst}`);
    }
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await visit.clickAndWaitForText('Copy JSON', 'Copied');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
    const svg = await visit.download('Download SVG');
    assert.match(svg.text, /^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.doesNotMatch(svg.text, /var\(--/, 'the file does not depend on colours of the page');

    // The click causes shifts. On a busy machine, they may occur later than the 500 ms after which a browser
    // no longer counts a shift as caused by input.
    const shifts = (await page.evaluate(() => globalThis.layoutShifts)).filter(
      ({ at }) => at < clicked || at > charted,
    );
    assert.deepEqual(shifts, [], 'layout shifts without input');
    await checkDownloads(t, page, bytes);
    await checkReadability(t, visit);
    await visit.leave();
  });

  test('a training step with two threads: contenders without support give a reason', async () => {
    const visit = await site.visit();
    await visit.run({
      shape: ['tiny'],
      contender: [ours, 'onnxruntime-web', 'tensorflow', 'jax'],
      task: ['training'],
      threads: ['2'],
    });
    const rows = await visit.rows('training', 'tiny');
    const [own, onnxruntime, ...trained] = Object.values(rows);
    // More work than the formula because of recomputation, or less because of folded weights.
    assert.ok(isPositive(own['Counting all work']) && isPositive(own['Of the ceiling']));
    assert.match(onnxruntime, /^not measured: ./);
    assert.equal(trained.length, 2);
    for (const row of trained) assert.ok(isPositive(row['Ours is']), JSON.stringify(rows));
    await visit.leave();
  });

  test('Stop terminates all workers immediately, and Start begins a new run', async (t) => {
    const visit = await site.visit();
    const { page } = visit;
    // 16 measurements of at least 5 s: a run that does not stop takes longer than the test waits.
    await visit.chooseAll({
      shape: ['sd15-64', 'sd15-32', 'sd15-16', 'tiny'],
      contender: [ours],
      task: ['forward', 'training'],
      threads: ['1', '2'],
    });
    await page.getByLabel('Seconds for each').selectOption('5');
    await visit.button('Start').click();
    await page.locator('#turn', { hasText: 'Measuring' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'stop', 'Stop has the focus');
    await page.evaluate(recordStatusAtStop);
    await visit.button('Stop').click();
    assert.equal(
      await page.evaluate(() => globalThis.statusAtStop),
      'stopped',
      'the click handler stops the run',
    );
    const clicked = performance.now();
    const seconds = () => (performance.now() - clicked) / 1000;
    // Chromium needs two seconds to terminate a worker that waits on shared memory, as idle threads do.
    while (page.workers().length > 0 && seconds() < 60) await page.waitForTimeout(20);
    t.diagnostic(`the last worker ended after ${seconds().toFixed(2)} s`);
    assert.deepEqual(
      page.workers().map((worker) => worker.url()),
      [],
    );
    assert.equal(await page.evaluate(() => document.activeElement.id), 'start');

    await visit.run({ shape: ['overhead'], contender: [ours], task: ['forward'], threads: ['1'] });
    const [row] = Object.values(await visit.rows('forward', 'overhead'));
    assert.ok(isPositive(row['Time']));
    await visit.leave();
  });

  test('a contender that fails gives a reason, and the others are measured', async () => {
    const visit = await site.visit();
    await visit.page.context().route(/ort-wasm.*\.wasm$/, (route) => route.abort());
    await visit.run({
      shape: ['tiny'],
      contender: [ours, 'onnxruntime-web'],
      task: ['forward'],
      threads: ['1'],
    });
    const [own, failed] = Object.values(await visit.rows('forward', 'tiny'));
    assert.ok(isPositive(own['Time']));
    assert.match(failed, /^not measured: ./);
    const { notMeasured } = JSON.parse((await visit.download('Download JSON')).text).measurements[0];
    assert.equal(notMeasured.length, 1);
    // The browser reports the blocked file, as expected.
    visit.problems.length = 0;
    await visit.leave();
  });

  test('without a choice, Start is disabled and the page says what is missing', async () => {
    const visit = await site.visit();
    await visit.choose('shape', []);
    assert.equal(await visit.button('Start').isDisabled(), true);
    assert.match(await visit.page.locator('#status').innerText(), /layer/);
    await visit.choose('shape', ['self-64']);
    await visit.choose('task', ['forward-cached']);
    assert.equal(await visit.button('Start').isDisabled(), true, 'self-attention has no context to cache');
    await visit.choose('task', ['forward']);
    assert.equal(await visit.button('Start').isEnabled(), true);
    await visit.leave();
  });
});

test('without isolation: one thread, with the reason on the page', async () => {
  const site = await openBenchmark({ isolated: false });
  after(() => site.close());
  const visit = await site.visit();
  assert.equal(await visit.page.locator('#threads-2').isDisabled(), true);
  assert.match(await visit.page.locator('#threads-hint').innerText(), /Cross-Origin-Opener-Policy/);
  await visit.run({
    shape: ['tiny'],
    contender: [ours, 'onnxruntime-web', 'tensorflow'],
    task: ['forward'],
    threads: ['1'],
  });
  const rows = await visit.rows('forward', 'tiny');
  assert.equal(Object.keys(rows).length, 3);
  for (const [title, row] of Object.entries(rows)) assert.ok(isPositive(row['Time']), `${title}: ${row}`);
  const { machine } = JSON.parse((await visit.download('Download JSON')).text);
  assert.equal(machine.crossOriginIsolated, false);
  assert.equal(machine.threads, 1);
  await visit.leave();
});

/** Records the sizes of all responses by address, including those of nested workers. */
function downloadedBytes({ page }) {
  const bytes = new Map();
  page.on('response', (response) => {
    bytes.set(response.url(), Number(response.headers()['content-length']));
  });
  return bytes;
}

/** Compares the size of each contender's files with the size on the page. */
async function checkDownloads(t, page, bytes) {
  const files = {
    relaxed: /cross.attention-relaxed.*|cross_attention-.*|cross_attention_ceiling.*/,
    'onnxruntime-web': /onnxruntime_web-.*|ort-wasm.*/,
    tensorflow: /tensorflow-.*|tfjs-.*/,
    jax: /jax-.*/,
  };
  for (const [contender, pattern] of Object.entries(files)) {
    const own = [...bytes].filter(([address]) => new RegExp(`/assets/(${pattern.source})$`).test(address));
    const megabytes = own.reduce((sum, [, size]) => sum + size, 0) / 1e6;
    const text = await page.locator(`#contender-${contender}-detail`).innerText();
    const [, value, unit] = text.match(/^([\d.]+) (KB|MB) download$/);
    const shown = value / (unit === 'KB' ? 1e3 : 1);
    t.diagnostic(`${contender}: ${megabytes.toFixed(3)} MB downloaded, ${shown} MB shown`);
    assert.ok(
      Math.abs(shown / megabytes - 1) <= downloadTolerance,
      `${contender}: ${megabytes} MB, shown ${text}`,
    );
  }
}

/** Checks the page with its results: light and dark, on a desktop and on a small phone. */
async function checkReadability(t, visit) {
  for (const [screen, viewport] of Object.entries({
    desktop: { width: 1280, height: 900 },
    phone: { width: 360, height: 740 },
  })) {
    await visit.page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await visit.page.emulateMedia({ colorScheme });
      const { violations, passes } = await axeViolations(visit.page);
      t.diagnostic(`${screen}, ${colorScheme}: ${passes.length} rules of axe passed`);
      assert.deepEqual(violations, []);
      assert.ok(passes.includes('color-contrast'), 'axe checked the contrast');
      assert.deepEqual(await findClippedElements(visit.page), []);
      await visit.saveScreenshot(`bench-${screen}-${colorScheme}`);
    }
  }
}

/** Runs in the page: records layout shifts without recent input. */
function recordLayoutShifts() {
  globalThis.layoutShifts = [];
  new PerformanceObserver((list) => {
    for (const { startTime, value, hadRecentInput } of list.getEntries()) {
      if (!hadRecentInput) globalThis.layoutShifts.push({ at: startTime, value });
    }
  }).observe({ type: 'layout-shift', buffered: true });
}

/** Runs in the page: records the status right after the page has handled the click on Stop. */
function recordStatusAtStop() {
  document.getElementById('stop').addEventListener('click', () => {
    globalThis.statusAtStop = document.getElementById('status').dataset.status;
  });
}
