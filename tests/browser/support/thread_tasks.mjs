// Tasks of a page's threads, each with its processor time, from Chromium's trace. Unlike the durations that
// PerformanceObserver reports as 'longtask', processor time does not include the time in which other programs run.

/** A shorter task is not felt (W3C Long Tasks): milliseconds. */
export const longTask = 50;

const categories = ['toplevel', 'blink.user_timing', 'devtools.timeline', '__metadata'];
const endMark = 'the recording ends';

/**
 * @typedef {object} Task
 * @property {number} start milliseconds of the trace's clock
 * @property {number} duration milliseconds, including the time in which the thread waited for a processor
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

  /** The id of the page's process. */
  get process() {
    return this.#mark(endMark).pid;
  }

  /** Tasks of the page's main thread. */
  get mainThread() {
    return this.#tasksOf(this.#mark(endMark));
  }

  /** Tasks of the thread that scrolls the page and composes its layers. */
  get compositor() {
    const isCompositor = ({ name, pid, args }) =>
      name === 'thread_name' && pid === this.process && args.name === 'Compositor';
    return this.#tasksOf(this.#events.find(isCompositor));
  }

  /** Tasks of a thread, the page's or a worker's, from one of its performance.mark() to another, including both. */
  between(firstMark, lastMark) {
    const [from, to] = [this.#mark(firstMark), this.#mark(lastMark)].map(({ ts }) => ts / 1000);
    const tasks = this.#tasksOf(this.#mark(firstMark));
    return tasks.filter(({ start, duration }) => start + duration >= from && start <= to);
  }

  /** When the main thread begins to run each requestAnimationFrame callback: milliseconds of the trace's clock. */
  get frameStarts() {
    const { pid, tid } = this.#mark(endMark);
    return this.#events
      .filter((event) => event.name === 'FireAnimationFrame' && event.pid === pid && event.tid === tid)
      .map(({ ts }) => ts / 1000)
      .sort((one, other) => one - other);
  }

  #mark(wanted) {
    const mark = this.#events.find(({ cat, name }) => cat === 'blink.user_timing' && name === wanted);
    if (mark === undefined) throw new Error(`the trace has no mark '${wanted}'`);
    return mark;
  }

  /** Tasks in the order of their starts. Tasks of nested event loops are part of the outer task. @returns {Task[]} */
  #tasksOf({ pid, tid }) {
    const tasks = [];
    let end = -Infinity;
    // Without a duration: a task that the recording cut off.
    const events = this.#events.filter(
      (event) =>
        event.name === 'ThreadControllerImpl::RunTask' &&
        event.pid === pid &&
        event.tid === tid &&
        event.dur !== undefined,
    );
    if (!events.some(({ tdur }) => tdur !== undefined)) {
      throw new Error('the trace has no processor times (tdur) of tasks');
    }
    for (const { ts, dur, tdur } of events.sort((one, other) => one.ts - other.ts)) {
      if (ts < end) continue;
      end = ts + dur;
      // Chromium omits some processor times; they are at most the duration.
      tasks.push({ start: ts / 1000, duration: dur / 1000, processor: (tdur ?? dur) / 1000 });
    }
    return tasks;
  }
}

/** The processor time of the longest task. @param {Task[]} tasks */
export const longestOf = (tasks) => Math.max(0, ...tasks.map(({ processor }) => processor));

/** The longest tasks as text, for diagnostics. @param {Task[]} tasks */
export function describeTasks(tasks) {
  const longest = tasks.toSorted((one, other) => other.processor - one.processor).slice(0, 3);
  return longest
    .map(({ processor, duration }) => `${processor.toFixed(1)} ms (in ${duration.toFixed(1)} ms)`)
    .join(', ');
}
