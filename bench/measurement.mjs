// One measurement: all contenders that can do it, checked against each other, then timed by turns.
import { maximumMagnitude, worstDifference } from '../tests/support/compare.mjs';

/**
 * @typedef {object} Entry a contender with its options
 * @property {string} label what it is called; `title`: with its options
 * @property {string} title
 * @property {string} name a file of contenders/
 * @property {{ simd?: string, threads: number }} options
 * @property {import('./contender_process.mjs').ContenderProcess} process
 * @property {import('./contender_process.mjs').ContenderProcess[]} ceiling the microkernel of the same SIMD by itself, a
 *   process for each thread; empty where that is no measure
 */

/** Fewer would make no median. */
export const leastRounds = 5;
/** A round lasts so long, or one call where that takes longer. */
const roundSeconds = 0.2;

/**
 * The most by which two right results may differ: twice what one may be off from the exact one. That is, in float32,
 * 2e-6·√C for an output of unit-normal data and Xavier weights, and 1e-4 of the largest for a gradient; in float64 less by
 * the ratio of the roundings.
 */
function tolerance({ shape, dtype, task }, reference) {
  const single = task === 'training' ? 1e-4 * maximumMagnitude(reference) : 2e-6 * Math.sqrt(shape.queryDim);
  return 2 * single * (dtype === 'float64' ? 2 ** -29 : 1);
}

/** Throws where a result is another one; returns the largest difference of each from the first. */
function compareResults(what, entries, results) {
  const [reference] = results;
  const allowed = tolerance(what, reference);
  return results.map((result, index) => {
    const { difference } = worstDifference(result, reference);
    // The number of threads must not change a bit.
    const sameSimd = entries.findIndex(
      ({ name, options }) => name === entries[index].name && options.simd === entries[index].options.simd,
    );
    if (entries[index].options.simd && worstDifference(result, results[sameSimd]).difference !== 0) {
      throw new Error(`${entries[index].title} and ${entries[sameSimd].title} give different bits`);
    }
    if (difference > allowed) {
      throw new Error(
        `${entries[index].title} and ${entries[0].title} give different results at ${what.shape.name}: ` +
          `${difference}, allowed are ${allowed}`,
      );
    }
    return difference;
  });
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * One round of a contender's process. Means, not medians: whatever else runs on the machine takes its part of short calls
 * as of long ones.
 * `milliseconds` by the clock, `busyMilliseconds` of processor time over all threads.
 */
async function round(process) {
  const { milliseconds, cores } = await process.ask('round', { seconds: roundSeconds });
  return { milliseconds: mean(milliseconds), busyMilliseconds: mean(milliseconds) * cores, cores };
}

/**
 * What counts: of one thread the processor time, which is the clock's unless others take the processor away; of more
 * threads the clock's, for waiting for each other is their own fault.
 */
export const countedMilliseconds = (threads, { milliseconds, busyMilliseconds }) =>
  threads === 1 ? busyMilliseconds : milliseconds;

/** One entry's turn, right after its ceiling's (GFLOP/s, all its threads at once): both meet the same weather. */
async function turn({ process, ceiling, options }, ceilingFlops) {
  const rates = await Promise.all(
    ceiling.map(async (one) => ceilingFlops / countedMilliseconds(options.threads, await round(one)) / 1e6),
  );
  const sum = rates.length > 0 ? rates.reduce((total, rate) => total + rate, 0) : null;
  return { ...(await round(process)), ceiling: sum };
}

/** Each process once. */
const ceilingsOf = (entries) => [...new Set(entries.flatMap(({ ceiling }) => ceiling))];

/**
 * @param {{ shape: object, dtype: string, task: string }} what
 * @param {Entry[]} all
 * @param {number} seconds for each entry
 * @returns one record an entry that can do it: { entry, memory, flopsDone, difference, rounds: [{ milliseconds,
 *   busyMilliseconds, cores, ceiling }] }; null where none can
 */
export async function measureAll(what, all, seconds) {
  const entries = [];
  for (const entry of all) if (await entry.process.ask('supports', what)) entries.push(entry);
  if (entries.length === 0) return null;
  const ceilings = ceilingsOf(entries);
  const prepared = [];
  let ceilingFlops;
  try {
    for (const one of ceilings) ceilingFlops = (await one.ask('prepare', what)).flopsDone;
    for (const entry of entries) prepared.push(await entry.process.ask('prepare', what));
    const differences = compareResults(
      what,
      entries,
      prepared.map(({ result }) => result),
    );
    const records = entries.map((entry, index) => ({
      entry,
      memory: prepared[index].memory,
      flopsDone: prepared[index].flopsDone,
      difference: differences[index],
      rounds: [],
    }));
    const end = performance.now() + seconds * 1000 * entries.length;
    while (records[0].rounds.length < leastRounds || performance.now() < end) {
      for (const record of records) record.rounds.push(await turn(record.entry, ceilingFlops));
    }
    return records;
  } finally {
    for (const one of [...ceilings, ...entries.map(({ process }) => process)]) await one.ask('finish');
  }
}
