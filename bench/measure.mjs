// Timing calls, and making sense of many times. No Node in here: pages measure as well.

/** A sample shorter than this would be as much clock as work. */
const leastSampleMilliseconds = 1;

/** Calls `run` `count` times; resolves to the milliseconds that they took. */
async function time(run, count) {
  const start = performance.now();
  for (let call = 0; call < count; ++call) {
    const result = run();
    // Only promises are waited for: an await costs more than a small layer.
    if (typeof result?.then === 'function') await result;
  }
  return performance.now() - start;
}

/** How many calls make one sample. */
export async function callsPerSample(run) {
  let count = 1;
  while ((await time(run, count)) < leastSampleMilliseconds) count *= 2;
  return count;
}

/** Samples of `count` calls until `seconds` have passed, at least one: milliseconds a call. */
export async function sample(run, count, seconds) {
  const samples = [];
  const end = performance.now() + seconds * 1000;
  do {
    samples.push((await time(run, count)) / count);
  } while (performance.now() < end);
  return samples;
}

/** The value below which `share` of the values lie, between neighbours by straight line. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

export const median = (values) => quantile(values, 0.5);
