import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';

/** Waits until `isSo` returns or resolves to true. Throws if it does not within a minute. */
export async function until(isSo) {
  for (const end = performance.now() + 60_000; !(await isSo()); await wait(20))
    assert.ok(performance.now() < end, `never true: ${isSo}`);
}
