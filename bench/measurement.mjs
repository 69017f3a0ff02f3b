// One measurement: all contenders that can do it, checked against each other, then timed by turns. No Node in here: pages
// measure as well.
import { maximumMagnitude, worstDifference } from '../support/differences.mjs';
import { layersOf, mostChannelsOf } from './shapes.mjs';

/**
 * @typedef {object} Entry a contender with its options
 * @property {string} label what it is called; `title`: with its options
 * @property {string} title
 * @property {string} name as in contenders.mjs
 * @property {{ simd?: string, threads: number }} options only ours have a choice of SIMD
 * @property {Host} process
 * @property {Host[]} ceiling the microkernel of the same SIMD by itself, a process for each thread; empty where that is no
 *   measure
 *
 * @typedef {object} Host where a contender runs: a process (contender_process.mjs) or a worker
 * @property {(request: string, argument?: object) => Promise} ask one of contender_requests.mjs's
 * @property {() => Promise} restart after a failure, which may have left anything behind
 */

/** Fewer would make no median. */
const leastRounds = 5;
/** Where one round takes longer than a second; noise matters less there. */
const leastLongRounds = 3;
/** A round lasts so long, or one call where that takes longer. */
const roundSeconds = 0.2;
/** A contender that takes longer for a call would make the whole benchmark wait. */
const mostCallSeconds = 10;

/**
 * The most by which two right results may differ: twice what one may be off from the exact one. That is, in float32,
 * 2e-6·√C for an output of unit-normal data and Xavier weights, and 1e-4 of the largest for a gradient; in float64 less by
 * the ratio of the roundings.
 */
function tolerance({ shape, dtype, task }, reference) {
  const single =
    task === 'training' ? 1e-4 * maximumMagnitude(reference) : 2e-6 * Math.sqrt(mostChannelsOf(shape));
  return 2 * single * (dtype === 'float64' ? 2 ** -29 : 1);
}

/**
 * Compares results as they come, so that not all of them lie in memory: each with the first one, and those of the same
 * SIMD of ours with each other, for the number of threads must not change a bit.
 */
class Comparison {
  #what;
  #first = null;
  #ofSimd = new Map();

  constructor(what) {
    this.#what = what;
  }

  /** Throws where the result is another one; returns the largest difference from the first. */
  check({ title, options: { simd } }, result) {
    this.#first ??= { title, result, allowed: tolerance(this.#what, result) };
    const { difference } = worstDifference(result, this.#first.result);
    if (difference > this.#first.allowed) {
      throw new Error(
        `its result is another one than that of ${this.#first.title}: they differ by ${difference}, ` +
          `allowed are ${this.#first.allowed}`,
      );
    }
    if (simd) this.#checkBits(title, simd, result);
    return difference;
  }

  #checkBits(title, simd, result) {
    const same = this.#ofSimd.get(simd);
    if (same === undefined) this.#ofSimd.set(simd, { title, result });
    else if (worstDifference(result, same.result).difference !== 0) {
      throw new Error(`its result has other bits than that of ${same.title}`);
    }
  }
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * One round of a contender's process. Means, not medians: whatever else runs on the machine takes its part of short calls
 * as of long ones.
 * `milliseconds` by the clock, `busyMilliseconds` of processor time over all threads, null where it cannot be known.
 */
export async function round(process) {
  const { milliseconds, cores } = await process.ask('round', { seconds: roundSeconds });
  const clock = mean(milliseconds);
  return { milliseconds: clock, busyMilliseconds: cores === null ? null : clock * cores, cores };
}

/**
 * What counts: of one thread the processor time, which is the clock's unless others take the processor away; of more
 * threads, and where processor time cannot be known, the clock's, for waiting for each other is their own fault.
 */
export const countedMilliseconds = (threads, { milliseconds, busyMilliseconds }) =>
  threads === 1 ? (busyMilliseconds ?? milliseconds) : milliseconds;

/** One entry's turn, right after its ceiling's (GFLOP/s, all its threads at once): both meet the same weather. */
async function turn({ process, ceiling, options }, ceilingFlops) {
  const rates = await Promise.all(
    ceiling.map(async (one) => {
      const milliseconds = countedMilliseconds(options.threads, await round(one));
      return ceilingFlops.get(one) / milliseconds / 1e6;
    }),
  );
  const sum = rates.length > 0 ? rates.reduce((total, rate) => total + rate, 0) : null;
  return { ...(await round(process)), ceiling: sum };
}

/** Each process once. */
const ceilingsOf = (entries) => [...new Set(entries.flatMap(({ ceiling }) => ceiling))];

async function prepare(what, entry, comparison) {
  const { result, firstCallSeconds, memory, flopsDone } = await entry.process.ask('prepare', what);
  const difference = comparison.check(entry, result);
  if (firstCallSeconds > mostCallSeconds) throw new Error(`one call took ${firstCallSeconds.toFixed(0)} s`);
  return { entry, memory, flopsDone, difference, rounds: [], seconds: 0 };
}

function wantsMore({ rounds, seconds }, secondsForEach) {
  const least = seconds > rounds.length ? leastLongRounds : leastRounds;
  return rounds.length < least || seconds < secondsForEach;
}

/**
 * @param {{ shape: object, dtype: string, task: string }} what
 * @param {Entry[]} entries ours first: the others' results are compared with them
 * @param {number} seconds for each entry
 * @param {{ onProgress?: (progress: { stage: 'preparing' | 'measuring', entry: Entry, done: number }) => void }} options
 * @returns {Promise<{ records: object[], notMeasured: { entry: Entry, reason: string }[] }>} a record:
 *   { entry, memory, flopsDone, difference, rounds: [{ milliseconds, busyMilliseconds, cores, ceiling }] }. All begin in
 *   the same round; who has had its seconds leaves earlier.
 */
export async function measureAll(what, entries, seconds, { onProgress = () => {} } = {}) {
  const ceilings = ceilingsOf(entries);
  const comparison = new Comparison(what);
  const notMeasured = [];
  let records = [];
  const giveUp = async (entry, error) => {
    notMeasured.push({ entry, reason: error.message });
    records = records.filter((record) => record.entry !== entry);
    // Whatever a failure left behind must not meet the next measurement. A stopped host does not start again.
    await entry.process.restart().catch(() => {});
  };
  try {
    // The ceiling is the same for all shapes, and no stack of layers.
    const ceilingOf = { ...what, shape: layersOf(what.shape)[0] };
    // Each its own: the tile is another one with other SIMD.
    const ceilingFlops = new Map();
    for (const one of ceilings) ceilingFlops.set(one, (await one.ask('prepare', ceilingOf)).flopsDone);
    for (const [index, entry] of entries.entries()) {
      onProgress({ stage: 'preparing', entry, done: index / entries.length });
      try {
        if (await entry.process.ask('supports', what)) records.push(await prepare(what, entry, comparison));
        else notMeasured.push({ entry, reason: 'it does not offer this' });
      } catch (error) {
        await giveUp(entry, error);
      }
    }
    for (let waiting = records; waiting.length > 0;) {
      for (const record of waiting) {
        const spent = records.map((one) => Math.min(1, one.seconds / seconds));
        onProgress({ stage: 'measuring', entry: record.entry, done: mean(spent) });
        const start = performance.now();
        try {
          record.rounds.push(await turn(record.entry, ceilingFlops));
        } catch (error) {
          await giveUp(record.entry, error);
        }
        record.seconds += (performance.now() - start) / 1000;
      }
      waiting = records.filter((record) => wantsMore(record, seconds));
    }
    return { records, notMeasured };
  } finally {
    const busy = [...ceilings, ...records.map(({ entry }) => entry.process)];
    await Promise.allSettled(busy.map((one) => one.ask('finish')));
  }
}
