// The benchmark's page: every contender in workers of the page, results that agree, and a page that stays itself.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openBenchmark } from './support/bench_page.mjs';
import { axeComplaints, findCutOff } from './support/readability.mjs';
import { describeTasks, longestOf, longTask, recordTasks } from './support/thread_tasks.mjs';

const ours = 'relaxed';
const peers = ['onnxruntime-web-fused', 'onnxruntime-web', 'tensorflow', 'jax'];
/** The page says what a contender downloads, rounded: so far it may be off. */
const downloadTolerance = 0.1;

const isPositive = (value) => Number.isFinite(value) && value > 0;

describe('the benchmark', () => {
  let site;
  before(async () => (site = await openBenchmark()));
  after(() => site.close());

  test('all contenders, one thread: figures for each, results agree, nothing moves, downloads as told', async (t) => {
    const visit = await site.visit();
    const { page } = visit;
    const bytes = downloadedBytes(visit);
    await page.evaluate(watchLayoutShift);
    await visit.chooseAll({
      shape: ['tiny'],
      contender: [ours, 'baseline', ...peers],
      task: ['forward'],
      threads: ['1'],
    });
    const now = () => page.evaluate(() => performance.now());
    const clicked = await now();
    await visit.button('Start').click();
    // After the first chart the page only shows results: the work of a start is done.
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
      assert.equal(isPositive(row['Of the ceiling']), isOurs, `${title}: of the ceiling`);
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
    assert.deepEqual(notMeasured, [], 'results that differ would be in here');
    for (const { title, rounds, differenceFromFirst } of contenders) {
      assert.ok(rounds.length >= 3, `${title}: ${rounds.length} rounds`);
      assert.ok(differenceFromFirst < 1e-4, `${title} differs by ${differenceFromFirst}`);
    }
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await visit.clickToRead('Copy JSON', 'Copied');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
    const svg = await visit.download('Download SVG');
    assert.match(svg.text, /^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.doesNotMatch(svg.text, /var\(--/, 'its colours are its own');

    // The click moves things. On a busy machine they move later than the 500 ms after which a browser no longer counts
    // a shift as caused by input.
    const shifts = (await page.evaluate(() => globalThis.layoutShifts)).filter(
      ({ at }) => at < clicked || at > charted,
    );
    assert.deepEqual(shifts, [], 'nothing moves by itself');
    await checkDownloads(t, page, bytes);
    await checkReadability(t, visit);
    await visit.leave();
  });

  test('a training step with two threads: those who train do, the others say why not', async () => {
    const visit = await site.visit();
    await visit.run({
      shape: ['tiny'],
      contender: [ours, 'onnxruntime-web', 'tensorflow', 'jax'],
      task: ['training'],
      threads: ['2'],
    });
    const rows = await visit.rows('training', 'tiny');
    const [own, onnxruntime, ...trained] = Object.values(rows);
    // More than the formula where something is computed twice, less where the context is folded.
    assert.ok(isPositive(own['Counting all work']) && isPositive(own['Of the ceiling']));
    assert.match(onnxruntime, /^not measured: ./);
    assert.equal(trained.length, 2);
    for (const row of trained) assert.ok(isPositive(row['Ours is']), JSON.stringify(rows));
    await visit.leave();
  });

  test('Stop ends it at once, workers and all, and Start begins anew', async (t) => {
    const visit = await site.visit();
    const { page } = visit;
    // 16 measurements of at least 5 s: a run that was not stopped computes for longer than the test waits.
    await visit.chooseAll({
      shape: ['sd15-64', 'sd15-32', 'sd15-16', 'tiny'],
      contender: [ours],
      task: ['forward', 'training'],
      threads: ['1', '2'],
    });
    await page.getByLabel('Seconds for each').selectOption('5');
    await visit.button('Start').click();
    await page.locator('#turn', { hasText: 'Measuring' }).waitFor();
    assert.equal(
      await page.evaluate(() => document.activeElement.id),
      'stop',
      'the focus is where it can act',
    );
    await page.evaluate(noteStatusAtStop);
    await visit.button('Stop').click();
    assert.equal(
      await page.evaluate(() => globalThis.statusAtStop),
      'stopped',
      'the click itself ends the run',
    );
    const clicked = performance.now();
    const seconds = () => (performance.now() - clicked) / 1000;
    // Chromium waits two seconds for a worker that sleeps in shared memory, as threads without work do.
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

  test('who fails says so, and the others are measured', async () => {
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
    // The browser complains about the file that it did not get; so it should.
    visit.troubles.length = 0;
    await visit.leave();
  });

  test('nothing chosen: Start waits, and the page says what for', async () => {
    const visit = await site.visit();
    await visit.choose('shape', []);
    assert.equal(await visit.button('Start').isDisabled(), true);
    assert.equal(await visit.page.locator('#status').innerText(), 'Choose a layer.');
    await visit.choose('shape', ['self-64']);
    await visit.choose('task', ['forward-cached']);
    assert.equal(await visit.button('Start').isDisabled(), true, 'self-attention has no context to keep');
    await visit.choose('task', ['forward']);
    assert.equal(await visit.button('Start').isEnabled(), true);
    await visit.leave();
  });
});

test('without isolation: one thread, the page says why, and it measures', async () => {
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

/** What comes from now on, by address: bytes. Also of workers, and of theirs. */
function downloadedBytes({ page }) {
  const bytes = new Map();
  page.on('response', (response) => {
    bytes.set(response.url(), Number(response.headers()['content-length']));
  });
  return bytes;
}

/** Each contender's files against what the page said of it. */
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
    const told = value / (unit === 'KB' ? 1e3 : 1);
    t.diagnostic(`${contender}: ${megabytes.toFixed(3)} MB downloaded, ${told} MB told`);
    assert.ok(
      Math.abs(told / megabytes - 1) <= downloadTolerance,
      `${contender}: ${megabytes} MB, told ${text}`,
    );
  }
}

/** With results on the page: light and dark, on a desktop and on the smallest phone. */
async function checkReadability(t, visit) {
  for (const [screen, viewport] of Object.entries({
    desktop: { width: 1280, height: 900 },
    phone: { width: 360, height: 740 },
  })) {
    await visit.page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await visit.page.emulateMedia({ colorScheme });
      const { complaints, passes } = await axeComplaints(visit.page);
      t.diagnostic(`${screen}, ${colorScheme}: ${passes.length} rules of axe passed`);
      assert.deepEqual(complaints, []);
      assert.ok(passes.includes('color-contrast'), 'contrast was looked at');
      assert.deepEqual(await findCutOff(visit.page), []);
      await visit.keepScreenshot(`bench-${screen}-${colorScheme}`);
    }
  }
}

/** In the page: collects the layout shifts without recent input of the visitor. */
function watchLayoutShift() {
  globalThis.layoutShifts = [];
  new PerformanceObserver((list) => {
    for (const { startTime, value, hadRecentInput } of list.getEntries()) {
      if (!hadRecentInput) globalThis.layoutShifts.push({ at: startTime, value });
    }
  }).observe({ type: 'layout-shift', buffered: true });
}

/** In the page: saves the status that the page shows right after the click on Stop was handled. */
function noteStatusAtStop() {
  document.getElementById('stop').addEventListener('click', () => {
    globalThis.statusAtStop = document.getElementById('status').dataset.status;
  });
}
