// Measures the processor time of the tasks of a page's threads with Chromium's trace. Unlike the durations
// that PerformanceObserver reports as 'longtask', processor time does not include the time in which other
// programs run.

/** The threshold of the W3C Long Tasks specification, in milliseconds. */
export const longTask = 50;

const categories = ['toplevel', 'blink.user_timing', 'devtools.timeline', '__metadata'];
const endMark = 'the recording ends';

/**
 * @typedef {object} Task
 * @property {number} start milliseconds of the trace's clock
 * @property {number} duration milliseconds of wall time, including the time in which the thread waited for a
 *   core
 * @property {number} processor milliseconds of processor time
 */

/**
 * Records the trace of a page while `work` runs. `work` may navigate the page.
 *
 * @template Result
 * @param {import('playwright-core').Page} page
 * @param {() => Promise<Result>} work
 * @returns {Promise<{ result: Result, trace: ThreadTasks }>}
 */
export async function recordTasks(page, work) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories });
  let result;
  let json;
  try {
    result = await work();
    await page.evaluate((mark) => performance.mark(mark), endMark);
  } finally {
    json = await browser.stopTracing();
  }
  return { result, trace: new ThreadTasks(JSON.parse(json.toString()).traceEvents) };
}

class ThreadTasks {
  #events;

  constructor(events) {
    this.#events = events;
  }

  /** Process id of the page. */
  get process() {
    return this.#mark(endMark).pid;
  }

  /** Tasks of the page's main thread. */
  get mainThread() {
    return this.#tasksOf(this.#mark(endMark));
  }

  /** Tasks of the compositor thread, which scrolls the page. */
  get compositor() {
    const isCompositor = ({ name, pid, args }) =>
      name === 'thread_name' && pid === this.process && args.name === 'Compositor';
    return this.#tasksOf(this.#events.find(isCompositor));
  }

  /** Tasks of the thread of the page or of a worker between two of its performance.mark(), inclusive. */
  between(firstMark, lastMark) {
    const [from, to] = [this.#mark(firstMark), this.#mark(lastMark)].map(({ ts }) => ts / 1000);
    const tasks = this.#tasksOf(this.#mark(firstMark));
    return tasks.filter(({ start, duration }) => start + duration >= from && start <= to);
  }

  /** Start times of the requestAnimationFrame callbacks, in milliseconds of the trace's clock. */
  get frameStarts() {
    const { pid, tid } = this.#mark(endMark);
    return this.#events
      .filter((event) => event.name === 'FireAnimationFrame' && event.pid === pid && event.tid === tid)
      .map(({ ts }) => ts / 1000)
      .sort((one, other) => one - other);
  }

  #mark(markName) {
    const mark = this.#events.find(({ cat, name }) => cat === 'blink.user_timing' && name === markName);
    if (mark === undefined) throw new Error(`the trace has no mark '${markName}'`);
    return mark;
  }

  /** Tasks sorted by start time. Tasks of nested event loops are part of the outer task. @returns {Task[]} */
  #tasksOf({ pid, tid }) {
    const tasks = [];
    let end = -Infinity;
    // A task without a duration was not finished when the recording ended.
    const events = this.#events.filter(
      (event) =>
        event.name === 'ThreadControllerImpl::RunTask' &&
        event.pid === pid &&
        event.tid === tid &&
        event.dur !== undefined,
    );
    if (!events.some(({ tdur }) => tdur !== undefined)) {
      throw new Error('the trace has no processor times of tasks; expected tdur');
    }
    for (const { ts, dur, tdur } of events.sort((one, other) => one.ts - other.ts)) {
      if (ts < end) continue;
      end = ts + dur;
      // Chromium omits some processor times. The duration is an upper bound.
      tasks.push({ start: ts / 1000, duration: dur / 1000, processor: (tdur ?? dur) / 1000 });
    }
    return tasks;
  }
}

/** Returns the processor time of the longest task. @param {Task[]} tasks */
export const longestOf = (tasks) => Math.max(0, ...tasks.map(({ processor }) => processor));

/** Describes the three longest tasks, for diagnostics. @param {Task[]} tasks */
export function describeTasks(tasks) {
  const longest = tasks.toSorted((one, other) => other.processor - one.processor).slice(0, 3);
  return longest
    .map(({ processor, duration }) => `${processor.toFixed(1)} ms (in ${duration.toFixed(1)} ms)`)
    .join(', ');
}
