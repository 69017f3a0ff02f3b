// Work on several items at a time.
import os from 'node:os';

/** Calls `work` for each item, as many at a time as there are cores, `max` at most. */
export async function inParallel(items, work, max = os.availableParallelism()) {
  const waiting = [...items];
  const next = async () => {
    while (waiting.length > 0) await work(waiting.shift());
  };
  await Promise.all(Array.from({ length: Math.min(max, os.availableParallelism()) }, next));
}
