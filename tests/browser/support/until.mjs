import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';

/** Waits until `condition` returns or resolves to true. Throws after a minute. */
export async function until(condition) {
  for (const end = performance.now() + 60_000; !(await condition()); await wait(20))
    assert.ok(performance.now() < end, `timeout: ${condition}`);
}
