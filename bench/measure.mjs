// Measures the time of calls. Uses no Node API: pages measure, too.

/** In a shorter sample, the clock's resolution and overhead matter. */
const minSampleMilliseconds = 1;

/** Calls `run` `count` times and resolves to the total time in milliseconds. */
async function time(run, count) {
  const start = performance.now();
  for (let call = 0; call < count; ++call) {
    const result = run();
    // Awaits only promises: an await costs more than a call of a small layer.
    if (typeof result?.then === 'function') await result;
  }
  return performance.now() - start;
}

/** Returns the number of calls per sample. */
export async function callsPerSample(run) {
  let count = 1;
  while ((await time(run, count)) < minSampleMilliseconds) count *= 2;
  return count;
}

/**
 * Takes samples of `count` calls until `seconds` have passed, at least one. Returns milliseconds per call.
 */
export async function sample(run, count, seconds) {
  const samples = [];
  const end = performance.now() + seconds * 1000;
  do {
    samples.push((await time(run, count)) / count);
  } while (performance.now() < end);
  return samples;
}

/** Returns the quantile `share` (0 to 1) of the values, with linear interpolation. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

export const median = (values) => quantile(values, 0.5);
