// Runs a case within a time limit and compares what it saw with what it must see.

/**
 * A case: the checked program in one environment under one condition.
 *
 * @typedef {object} Case
 * @property {string} group
 * @property {string} name the environment
 * @property {string} conditions
 * @property {boolean} quick part of npm test
 * @property {{ threads?: 'several' | 'one' | 'any', reason?: RegExp }} [expected]
 * @property {() => Promise<{ threads: number, simd: string, threadsReason: string, version?: string }>} run
 */

/** In seconds: a build by a bundler and two pages. */
const limit = 240;

/** Returns {result} or {error}, and the seconds that it took. @param {Case} each */
export async function runCase({ run, expected = {} }) {
  const start = performance.now();
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${limit} s`)), limit * 1000);
  });
  let outcome;
  try {
    const result = await Promise.race([run(), timeout]);
    check(result, expected);
    // The denoiser has an init of its own.
    if (result.denoiser) check(result.denoiser, expected, ' of the denoiser');
    outcome = { result };
  } catch (error) {
    outcome = { error };
  }
  clearTimeout(timer);
  return { ...outcome, seconds: (performance.now() - start) / 1000 };
}

function check({ threads, simd, threadsReason }, expected, whose = '') {
  if (!['relaxed', 'baseline'].includes(simd)) throw new Error(`simd${whose} is ${simd}`);
  const count = threads > 1 ? 'several' : 'one';
  if (!(threads >= 1)) throw new Error(`threads${whose} is ${threads}`);
  if (!['any', count, undefined].includes(expected.threads)) {
    throw new Error(`${threads} thread(s)${whose}, expected ${expected.threads}: ${threadsReason}`);
  }
  if (expected.reason && !expected.reason.test(threadsReason)) {
    throw new Error(`threadsReason${whose} is misleading: ${threadsReason}`);
  }
}
