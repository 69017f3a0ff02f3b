// Training runs off the main thread, so that the page scrolls smoothly.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSite } from '../../support/browser/paint_page.mjs';
import { describeTasks, longestOf, longTask, recordTasks } from './support/thread_tasks.mjs';

/** Five seconds at 60 Hz. */
const frameCount = 300;
/** Duration of a frame at 60 Hz, in milliseconds. */
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

  test('no long task during training; frames need less than 1/60 s during scrolling', async (t) => {
    const step = await visit.reading('steps');
    const { result, trace } = await recordTasks(visit.page, () => visit.page.evaluate(scroll, frameCount));
    assert.ok((await visit.reading('steps')) > step + 20, 'the training was running');
    assert.ok(result.distance > 2000, `scrolled over ${result.distance} pixels`);

    const { mainThread, compositor, frameStarts } = trace;
    assert.ok(frameStarts.length >= frameCount, `the trace has ${frameStarts.length} frames`);
    const intervals = quantilesOf(result.intervals);
    t.diagnostic(`intervals of ${frameCount} frames, not asserted: ${describe95(intervals)}`);
    t.diagnostic(`longest of ${mainThread.length} tasks of the main thread: ${describeTasks(mainThread)}`);
    assert.ok(longestOf(mainThread) < longTask, `a task of ${longestOf(mainThread)} ms of processor time`);

    // A thread that computes for longer than a frame misses a frame. The intervals themselves depend on the
    // load of the machine: the training uses all cores.
    for (const [thread, tasks] of Object.entries({ mainThread, compositor })) {
      const busy = quantilesOf(processorTimeOfFrames(tasks, frameStarts));
      t.diagnostic(`processor time of a frame, ${thread}: ${describe95(busy)}`);
      assert.ok(busy(0.5) <= frameTime / 2, `${thread}: the median frame takes ${busy(0.5)} ms`);
      assert.ok(busy(0.95) <= frameTime, `${thread}: 95 % of the frames take up to ${busy(0.95)} ms`);
    }
  });

  test('the page reported no problems', () => visit.leave());
});

/** Returns the processor time of each frame: of the tasks that start in it, in milliseconds. */
function processorTimeOfFrames(tasks, frameStarts) {
  const times = new Array(frameStarts.length - 1).fill(0);
  let frame = 0;
  for (const { start, processor } of tasks) {
    while (frame < times.length && start >= frameStarts[frame + 1]) frame++;
    if (start >= frameStarts[0] && frame < times.length) times[frame] += processor;
  }
  return times;
}

/** Returns a function that returns quantiles of the values. */
function quantilesOf(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return (share) => sorted[Math.floor((sorted.length - 1) * share)];
}

function describe95(quantile) {
  const [median, percentile95, longest] = [0.5, 0.95, 1].map((share) => quantile(share).toFixed(1));
  return `median ${median} ms, 95 % within ${percentile95} ms, longest ${longest} ms`;
}

/** Runs in the page: scrolls a little in each of `count` frames. */
async function scroll(count) {
  const intervals = [];
  let distance = 0;
  const range = document.documentElement.scrollHeight - innerHeight;
  let previous;
  for (let frame = 0; frame <= count; frame++) {
    const now = await new Promise(requestAnimationFrame);
    if (previous !== undefined) intervals.push(now - previous);
    previous = now;
    const before = scrollY;
    scrollTo(0, (range * (1 - Math.cos(frame / 30))) / 2);
    distance += Math.abs(scrollY - before);
  }
  return { intervals, distance };
}
