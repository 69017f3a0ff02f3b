// The whole public surface with hostile values: every call ends soon, with a result or an error of the
// package, and nothing leaks. `npm run fuzz -- --only surface` tries more of them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { checkMember, checkProgram, memberIds, programs } from '../support/surface_fuzz.mjs';

const corpus = new URL('../fuzz/corpus/surface/', import.meta.url);

test('each hostile value in each place of each function', async () => {
  let calls = 0;
  const share = isFullRun ? 1 : 7;
  for (const id of memberIds) calls += await checkMember(id, share);
  assert.ok(calls > 30_000 / share, `${calls} calls`);
});

test('random programs', () =>
  fc.assert(fc.asyncProperty(programs, checkProgram), runs(isFullRun ? 20_000 : 150)));

for (const name of readdirSync(corpus)) {
  test(`the program ${name} of the corpus`, () =>
    checkProgram(JSON.parse(readFileSync(new URL(name, corpus)))));
}
