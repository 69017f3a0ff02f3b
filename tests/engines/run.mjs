// node tests/engines/run.mjs '{"match":"service worker","write":true}': runs the cases whose row matches,
// prints the table and writes it into docs/engines.md. `npm run test:engines` starts it.
import { grey, green, red } from '../../tools/lib/steps.mjs';
import { allCases, closeAll } from './support/all_cases.mjs';
import { runCase } from './support/run_case.mjs';
import { rowOf, writeRows } from './support/table.mjs';

const { only, match, list, write } = JSON.parse(process.argv[2] ?? '{}');
const matches = ({ group, name, conditions }) =>
  (only === undefined || only.some((part) => group.toLowerCase().includes(part))) &&
  (match === undefined || new RegExp(match, 'i').test(`${group}: ${name}, ${conditions}`));
const chosen = allCases.filter(matches);

const rows = [];
let group = '';
for (const each of chosen) {
  if (each.group !== group) console.log(`\n${(group = each.group)}`);
  if (list) {
    console.log(`  ${each.name}, ${each.conditions}`);
    continue;
  }
  const outcome = await runCase(each);
  const row = rowOf(each, outcome);
  rows.push(row);
  const [, environment, conditions, threads, simd, result] = row.cells;
  const mark = row.isGreen ? green('✓') : red('✗');
  const seen = row.isGreen ? `${threads} thread(s), ${simd}: ` : '';
  const seconds = grey(`${outcome.seconds.toFixed(1)} s`);
  console.log(`  ${mark} ${environment}, ${conditions}: ${seen}${result.slice(2)} ${seconds}`);
  // The table has the first line only.
  const details = [outcome.error?.message, outcome.error?.stackInPage].filter(Boolean).join('\n');
  if (details) console.log(grey(details.slice(0, 4000)));
}
await closeAll();

if (!list) {
  if (chosen.length === 0) console.log('no case matches');
  if (write && rows.length > 0) writeRows(rows, allCases);
  const failed = rows.filter(({ isGreen }) => !isGreen).length;
  console.log(`\n${rows.length - failed} cases green, ${failed} failed`);
  process.exitCode = failed > 0 || rows.length === 0 ? 1 : 0;
}
process.exit();
