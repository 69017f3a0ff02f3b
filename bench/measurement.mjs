// Measures one shape, dtype and task: checks the results of all contenders against each other, then times the
// contenders in turns. Uses no Node API: pages measure, too.
import { maximumMagnitude, worstDifference } from '../support/differences.mjs';
import { notSupported } from './contenders.mjs';
import { layersOf, maxChannelsOf } from './shapes.mjs';

/**
 * @typedef {object} Workload what is measured
 * @property {object} shape of shapes.mjs
 * @property {string} dtype 'float32' or 'float64'
 * @property {string} task a key of `tasks` in shapes.mjs
 *
 * @typedef {object} Entry a contender with its options
 * @property {string} label its name without options
 * @property {string} title its name with options
 * @property {string} name key in contenders.mjs
 * @property {{ simd?: string, threads: number }} options `simd` is given only for this package
 * @property {Host} process
 * @property {Host[]} ceiling the microkernel alone with the same SIMD, one process per thread; empty if the
 *   entry has no ceiling
 *
 * @typedef {object} Host a process (contender_process.mjs) or a worker in which a contender runs
 * @property {(request: string, argument?: object) => Promise} request sends a request of
 *   contender_requests.mjs
 * @property {() => Promise} restart replaces the process after a failure, which may leave it in any state
 */

/** Fewer rounds give no useful median. */
const minRounds = 5;
/** The minimum if rounds take longer than a second: noise matters less there. */
const minLongRounds = 3;
/** Duration of a round. A longer call is a round by itself. */
const roundSeconds = 0.2;
/** A contender with longer calls is not measured: it would delay the whole benchmark. */
const maxCallSeconds = 10;

/**
 * Returns the maximum difference of two correct results: twice the tolerance of one result. In float32, that
 * is 2e-6·√C for an output of unit-normal data and Xavier weights, and 1e-4 of the largest element for a
 * gradient. In float64, it is smaller by the ratio of the rounding errors.
 */
function tolerance({ shape, dtype, task }, reference) {
  const single =
    task === 'training' ? 1e-4 * maximumMagnitude(reference) : 2e-6 * Math.sqrt(maxChannelsOf(shape));
  return 2 * single * (dtype === 'float64' ? 2 ** -29 : 1);
}

/**
 * Compares each result with the first one. Results of this package with the same SIMD must have the same
 * bits: the number of threads must not change them. Results are compared as they arrive, so that they need
 * not all be in memory.
 */
class Comparison {
  #workload;
  #first = null;
  #firstBySimd = new Map();

  constructor(workload) {
    this.#workload = workload;
  }

  /** Returns the largest difference from the first result. Throws if it exceeds the tolerance. */
  check({ title, options: { simd } }, result) {
    this.#first ??= { title, result, allowed: tolerance(this.#workload, result) };
    const { difference } = worstDifference(result, this.#first.result);
    if (difference > this.#first.allowed) {
      throw new Error(
        `its result differs from that of ${this.#first.title} by ${difference}; ` +
          `expected at most ${this.#first.allowed}`,
      );
    }
    if (simd) this.#checkBits(title, simd, result);
    return difference;
  }

  #checkBits(title, simd, result) {
    const first = this.#firstBySimd.get(simd);
    if (first === undefined) this.#firstBySimd.set(simd, { title, result });
    else if (worstDifference(result, first.result).difference !== 0) {
      throw new Error(`its result is not bit-identical to that of ${first.title}`);
    }
  }
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Runs one round in a contender's process. Returns means per call: `milliseconds` of wall time and
 * `busyMilliseconds` of processor time over all threads (null if unknown). Means, not medians: other programs
 * delay short calls and long calls by the same share.
 */
export async function round(process) {
  const { milliseconds, cores } = await process.request('round', { seconds: roundSeconds });
  const clock = mean(milliseconds);
  return { milliseconds: clock, busyMilliseconds: cores === null ? null : clock * cores, cores };
}

/**
 * Returns the time of a round that is compared. One thread: processor time, which equals wall time on an idle
 * machine. More threads, or unknown processor time: wall time, because waiting for other threads is part of
 * the cost.
 */
export const countedMilliseconds = (threads, { milliseconds, busyMilliseconds }) =>
  threads === 1 ? (busyMilliseconds ?? milliseconds) : milliseconds;

/**
 * Measures one round of an entry's ceiling (GFLOP/s of all threads at once), then one round of the entry:
 * both run under the same machine load.
 */
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

/** Returns the processes of all ceilings without duplicates. */
const ceilingsOf = (entries) => [...new Set(entries.flatMap(({ ceiling }) => ceiling))];

async function prepare(workload, entry, comparison) {
  const { result, firstCallSeconds, memory, flopsDone } = await entry.process.request('prepare', workload);
  const difference = comparison.check(entry, result);
  if (firstCallSeconds > maxCallSeconds) {
    throw new Error(`one call took ${firstCallSeconds.toFixed(0)} s; expected at most ${maxCallSeconds} s`);
  }
  return { entry, memory, flopsDone, difference, rounds: [], seconds: 0 };
}

function needsMoreRounds({ rounds, seconds }, secondsForEach) {
  const min = seconds > rounds.length ? minLongRounds : minRounds;
  return rounds.length < min || seconds < secondsForEach;
}

/**
 * Measures all entries in turns. All entries start in the same round; an entry ends when it has used its
 * seconds. A record of the result is { entry, memory, flopsDone, difference, rounds }; a round is
 * { milliseconds, busyMilliseconds, cores, ceiling }.
 *
 * @typedef {{ stage: 'preparing' | 'measuring', entry: Entry, done: number }} Progress
 * @param {Workload} workload
 * @param {Entry[]} entries this package first: the other results are compared with its result
 * @param {number} seconds for each entry
 * @param {{ onProgress?: (progress: Progress) => void }} options
 * @returns {Promise<{ records: object[], notMeasured: { entry: Entry, reason: string }[] }>}
 */
export async function measureAll(workload, entries, seconds, { onProgress = () => {} } = {}) {
  const ceilings = ceilingsOf(entries);
  const comparison = new Comparison(workload);
  const notMeasured = [];
  let records = [];
  const exclude = async (entry, error) => {
    notMeasured.push({ entry, reason: error.message });
    records = records.filter((record) => record.entry !== entry);
    // A failure must not affect the next measurement. A stopped host cannot restart; that error is ignored.
    await entry.process.restart().catch(() => {});
  };
  try {
    // The ceiling is the same for all shapes. It does not support a stack of layers.
    const ceilingWorkload = { ...workload, shape: layersOf(workload.shape)[0] };
    // One count per ceiling: the tile size depends on the SIMD variant.
    const ceilingFlops = new Map();
    for (const one of ceilings) {
      ceilingFlops.set(one, (await one.request('prepare', ceilingWorkload)).flopsDone);
    }
    for (const [index, entry] of entries.entries()) {
      onProgress({ stage: 'preparing', entry, done: index / entries.length });
      try {
        if (await entry.process.request('supports', workload)) {
          records.push(await prepare(workload, entry, comparison));
        } else notMeasured.push({ entry, reason: notSupported });
      } catch (error) {
        await exclude(entry, error);
      }
    }
    for (let active = records; active.length > 0;) {
      for (const record of active) {
        const spent = records.map((one) => Math.min(1, one.seconds / seconds));
        onProgress({ stage: 'measuring', entry: record.entry, done: mean(spent) });
        const start = performance.now();
        try {
          record.rounds.push(await turn(record.entry, ceilingFlops));
        } catch (error) {
          await exclude(record.entry, error);
        }
        record.seconds += (performance.now() - start) / 1000;
      }
      active = records.filter((record) => needsMoreRounds(record, seconds));
    }
    return { records, notMeasured };
  } finally {
    const busy = [...ceilings, ...records.map(({ entry }) => entry.process)];
    await Promise.allSettled(busy.map((one) => one.request('finish')));
  }
}
