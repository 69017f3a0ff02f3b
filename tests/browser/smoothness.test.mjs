// Training must not be felt: it runs off the main thread, and the page scrolls smoothly meanwhile.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSite } from '../../support/browser/paint_page.mjs';
import { describeTasks, longestOf, longTask, recordTasks } from './support/thread_tasks.mjs';

/** Five seconds at 60 Hz. */
const frameCount = 300;
/** Milliseconds of a frame at 60 Hz. */
const frameTime = 1000 / 60;

describe('smoothness', () => {
  let site;
  let visit;
  before(async () => {
    site = await openSite();
    visit = await site.visit({ viewport: { width: 1280, height: 600 } });
    await visit.waitForReading('psnr', 18);
  });
  after(() => site.close());

  test('no long task while training, and the work of a frame fits into 1/60 s while scrolling', async (t) => {
    const step = await visit.reading('steps');
    const { result, trace } = await recordTasks(visit.page, () => visit.page.evaluate(scroll, frameCount));
    assert.ok((await visit.reading('steps')) > step + 20, 'it was training meanwhile');
    assert.ok(result.distance > 2000, `scrolled over ${result.distance} pixels`);

    const { mainThread, compositor, frameStarts } = trace;
    assert.ok(frameStarts.length >= frameCount, `the trace has ${frameStarts.length} frames`);
    const intervals = quantilesOf(result.intervals);
    t.diagnostic(`intervals of ${frameCount} frames, not asserted: ${describe95(intervals)}`);
    t.diagnostic(`longest of ${mainThread.length} tasks of the main thread: ${describeTasks(mainThread)}`);
    assert.ok(longestOf(mainThread) < longTask, `a task of ${longestOf(mainThread)} ms of processor time`);

    // A thread that computes for longer than a frame from one frame to the next misses one. The intervals themselves
    // depend on what else the machine computes: training itself keeps every core busy.
    for (const [thread, tasks] of Object.entries({ mainThread, compositor })) {
      const busy = quantilesOf(processorTimeOfFrames(tasks, frameStarts));
      t.diagnostic(`processor time of a frame, ${thread}: ${describe95(busy)}`);
      assert.ok(busy(0.5) <= frameTime / 2, `${thread}: the median frame takes ${busy(0.5)} ms`);
      assert.ok(busy(0.95) <= frameTime, `${thread}: 95 % of the frames take up to ${busy(0.95)} ms`);
    }
  });

  test('did nothing that it must not do', () => visit.leave());
});

/** Processor time of the tasks that begin from the start of each frame to the start of the next, in milliseconds. */
function processorTimeOfFrames(tasks, frameStarts) {
  const times = new Array(frameStarts.length - 1).fill(0);
  let frame = 0;
  for (const { start, processor } of tasks) {
    while (frame < times.length && start >= frameStarts[frame + 1]) frame++;
    if (start >= frameStarts[0] && frame < times.length) times[frame] += processor;
  }
  return times;
}

/** The function that returns the value below which a share of the values lies. */
function quantilesOf(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return (share) => sorted[Math.floor((sorted.length - 1) * share)];
}

function describe95(quantile) {
  const [median, most, longest] = [0.5, 0.95, 1].map((share) => quantile(share).toFixed(1));
  return `median ${median} ms, 95 % within ${most} ms, longest ${longest} ms`;
}

/** In the page: scrolls up and down a little in each of `count` frames. */
async function scroll(count) {
  const intervals = [];
  let distance = 0;
  const room = document.documentElement.scrollHeight - innerHeight;
  let previous;
  for (let frame = 0; frame <= count; frame++) {
    const now = await new Promise(requestAnimationFrame);
    if (previous !== undefined) intervals.push(now - previous);
    previous = now;
    const before = scrollY;
    scrollTo(0, (room * (1 - Math.cos(frame / 30))) / 2);
    distance += Math.abs(scrollY - before);
  }
  return { intervals, distance };
}
