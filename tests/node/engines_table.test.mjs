// The table of docs/engines.md: a run of some cases replaces their rows and keeps all others.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { document, readRows, rowOf, withRows } from '../engines/support/table.mjs';

const caseOf = (name, conditions) => ({ group: 'group', name, conditions });
const outcomes = [
  [caseOf('Node 20', 'import'), { result: { version: '20.20.2', threads: 2, simd: 'baseline' } }],
  [caseOf('Node 26', 'import'), { result: { version: '26.1.0', threads: 2, simd: 'relaxed' } }],
  [caseOf('WebKit', 'a | b'), { result: { version: '2.50.6', threads: 1, simd: 'baseline' } }],
  [caseOf('Firefox', 'page'), { result: { version: '140.3.0esr', threads: 2, simd: 'relaxed' } }],
  [caseOf('Bun', 'page'), { error: new Error('no answer') }],
];
const cases = outcomes.map(([each]) => each);
const rows = outcomes.map(([each, outcome]) => rowOf(each, outcome));
const empty = readFileSync(document, 'utf8').replace(/(?<=<!-- table[^>]*>)[^]*(?=<!-- end)/, '\n');

test('all rows are written, in the order of the cases', () => {
  const written = readRows(withRows(empty, rows.toReversed(), cases));
  assert.deepEqual(
    written.map(({ name, isGreen }) => [name, isGreen]),
    cases.map(({ name }) => [name, name !== 'Bun']),
  );
});

test('rows of cases that did not run stay, and rows without a case are removed', () => {
  const text = withRows(empty, rows, cases);
  for (const row of rows) assert.equal(withRows(text, [row], cases), text, row.name);
  assert.equal(withRows(text, [], cases), text);
  assert.equal(readRows(withRows(text, [], cases.slice(1))).length, cases.length - 1);
});

test('the document has a row for each case', async () => {
  const { allCases } = await import('../engines/support/all_cases.mjs');
  const key = ({ group, name, conditions }) => `${group}: ${name}, ${conditions}`;
  assert.deepEqual(readRows().map(key), allCases.map(key));
});
