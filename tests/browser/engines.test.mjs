// The quick cases of the tests of engines: bundlers, and Firefox with an isolated and a plain page. `npm run
// test:engines` runs all cases.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { allCases, closeAll } from '../engines/support/all_cases.mjs';
import { runCase } from '../engines/support/run_case.mjs';

after(closeAll);

for (const each of allCases.filter(({ quick }) => quick)) {
  test(`${each.name}, ${each.conditions}`, async (t) => {
    const { result, error, seconds } = await runCase(each);
    assert.ifError(error);
    t.diagnostic(`${result.threads} thread(s), ${result.simd}, ${seconds.toFixed(1)} s`);
  });
}

test('there are quick cases', () => {
  assert.ok(allCases.filter(({ quick }) => quick).length >= 2);
});
