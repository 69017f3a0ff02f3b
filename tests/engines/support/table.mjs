// The table of docs/engines.md, between two markers. A row is a case: environment, condition, what was seen.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CommandError } from '../../../tools/lib/commands.mjs';
import { project } from '../../../tools/lib/paths.mjs';

export const document = path.join(project, 'docs/engines.md');
const begin = '<!-- table of npm run test:engines -->';
const end = '<!-- end of the table -->';
const head =
  '| group | environment | condition | threads | SIMD | result |\n| --- | --- | --- | --- | --- | --- |';

/** The version after the name of an environment. The major of "Node 20" is part of its name. */
const version = / \d+\.[\d.]+\w*$/;

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').trim();

/** @typedef {{ group: string, name: string, conditions: string, isGreen: boolean, cells: string[] }} Row */

/** Returns the rows of the document. */
export function readRows(text = readFileSync(document, 'utf8')) {
  const start = text.indexOf(begin);
  if (start < 0) throw new Error(`docs/engines.md has no ${begin}`);
  const lines = text.slice(start, text.indexOf(end)).split('\n');
  const rows = lines.filter((line) => line.startsWith('| ')).slice(2);
  return rows.map((line) => {
    const cells = line
      .slice(2, -2)
      .split(/(?<!\\)\|/)
      .map((each) => each.trim());
    const [group, name, conditions] = cells;
    return {
      group,
      name: name.replace(version, ''),
      conditions,
      isGreen: cells[5].startsWith('✓'),
      cells,
    };
  });
}

/** Returns the row of a case: `outcome` has what its run returned, or the error. */
export function rowOf({ group, name, conditions }, { result, error }) {
  const version = result?.version ?? '';
  const environment = version === '' || name.endsWith(version.split('.')[0]) ? name : `${name} ${version}`;
  const seen = error
    ? ['', '', `✗ ${shortened(error)}`]
    : [result.threads > 1 ? 'several' : '1', result.simd, `✓ ${withoutAddresses(result.threadsReason)}`];
  const cells = [group, environment, conditions, ...seen].map(cell);
  return { group, name, conditions: cells[2], isGreen: !error, cells };
}

/** Without addresses of temporary servers, which differ between runs, and hashes in the names of files. */
const withoutAddresses = (text) =>
  String(text)
    .replaceAll(/https?:\/\/(127\.0\.0\.1|localhost):\d+\/(case|bundled)\d+\//g, '…/')
    .replaceAll(/\.[0-9a-z_]{8,}(?=\.(wasm|js)\b)/g, '');

function shortened(error) {
  const message = error instanceof CommandError ? `the program ended with ${error.end}` : error.message;
  const [text] = withoutAddresses(message).split('\n', 1);
  return text.length > 160 ? `${text.slice(0, 160).replace(/\S*$/, '')}…` : text;
}

const keyOf = ({ group, name, conditions }) => [group, name, conditions].join('|');

/**
 * Returns the document with the rows of the cases that ran. Rows of other cases stay; rows without a case are
 * removed.
 *
 * @param {string} text
 * @param {readonly Row[]} rows
 * @param {readonly { group: string, name: string, conditions: string }[]} cases all cases, in order
 */
export function withRows(text, rows, cases) {
  const known = new Map([...readRows(text), ...rows].map((row) => [keyOf(row), row]));
  const lines = cases
    .map((each) => known.get(keyOf({ ...each, conditions: cell(each.conditions) })))
    .filter(Boolean)
    .map(({ cells }) => `| ${cells.join(' | ')} |`);
  const table = `${begin}\n\n${head}\n${lines.join('\n')}\n\n${end}`;
  const start = text.indexOf(begin);
  return text.slice(0, start) + table + text.slice(text.indexOf(end) + end.length);
}

/** Writes the rows into the document. */
export const writeRows = (rows, cases) =>
  writeFileSync(document, withRows(readFileSync(document, 'utf8'), rows, cases));
