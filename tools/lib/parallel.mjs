// Processes several items concurrently.
import os from 'node:os';

/** Calls `work` for each item. At most `max` calls, and at most one per core, run at the same time. */
export async function inParallel(items, work, max = os.availableParallelism()) {
  const queue = [...items];
  const next = async () => {
    while (queue.length > 0) await work(queue.shift());
  };
  await Promise.all(Array.from({ length: Math.min(max, os.availableParallelism()) }, next));
}
