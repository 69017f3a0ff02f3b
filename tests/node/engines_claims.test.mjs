// README and CHANGELOG claim that the package works in bundlers and engines: each claim has green rows in the
// table of docs/engines.md, and each environment of the table is claimed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { project } from '../../tools/lib/paths.mjs';
import { readRows } from '../engines/support/table.mjs';

/** Without line breaks, which differ with the wording. */
const read = (name) => readFileSync(path.join(project, name), 'utf8').replaceAll(/\s+/g, ' ');
const readme = read('README.md');
const changes = read('CHANGELOG.md');
const rows = readRows();

/** Asserts that there are rows whose environment matches, and that all are green. */
function assertGreen(environment, conditions = /./) {
  const found = rows.filter((row) => environment.test(row.name) && conditions.test(row.conditions));
  assert.ok(found.length > 0, `docs/engines.md has no row ${environment}, ${conditions}`);
  const red = found.filter(({ isGreen }) => !isGreen).map(({ cells }) => cells.join(' | '));
  assert.deepEqual(red, [], 'rows that are not green');
}

/** Names by which README and CHANGELOG call the environments of the table. */
const bundlers = {
  webpack: /^webpack/,
  rspack: /^rspack/,
  Vite: /^Vite/,
  Parcel: /^Parcel/,
  esbuild: /^esbuild/,
  Rollup: /^Rollup/,
  'Next.js': /^Next\.js/,
};
const engines = {
  'Node 20 or newer': /^Node 2[0-9]/,
  Deno: /^Deno/,
  Bun: /^Bun/,
  Chromium: /^Chromium/,
  Firefox: /^Firefox/,
  WebKit: /^WebKit/,
};

/** The sentence of a text that begins with some words. */
function sentence(text, beginning) {
  const start = text.indexOf(beginning);
  assert.ok(start >= 0, `no sentence begins with "${beginning}"`);
  return text.slice(start, text.slice(start).search(/[.:;] [^\d]|[.:;]$/) + start);
}

test('"any bundler" of README: every bundler of the table is green', () => {
  assert.match(readme, /In a browser, built by any bundler .*docs\/bundlers\.md/);
  assert.match(readme, /\[Engines and pages\]\(docs\/engines\.md\) has what is tested/);
  const inTable = new Set(rows.filter(({ group }) => group === 'Bundlers').map(({ name }) => name));
  for (const name of inTable) {
    const claimed = Object.values(bundlers).some((pattern) => pattern.test(name));
    assert.ok(claimed, `${name} is in the table, but not in this test`);
  }
  for (const pattern of Object.values(bundlers)) assertGreen(pattern);
});

test('an import map: green in each browser', () => {
  assert.match(readme, /import map that points to `dist\/index_browser\.js`/);
  for (const browser of ['Chromium', 'Firefox', 'WebKit']) assertGreen(engines[browser], /^import map/);
});

test('threads if the page is cross-origin isolated, else one thread', () => {
  assert.match(readme, /uses threads if the page is cross-origin isolated/);
  for (const browser of ['Chromium', 'Firefox', 'WebKit']) {
    const threadsOf = (conditions) =>
      rows.find((row) => row.name === browser && row.conditions === conditions).cells[3];
    assert.equal(threadsOf('import map, isolated'), 'several', browser);
    assert.equal(threadsOf('import map, not isolated'), '1', browser);
  }
});

test('the bundlers, CommonJS and service workers of CHANGELOG', () => {
  const claim = sentence(changes, 'Builds for ');
  for (const [name, pattern] of Object.entries(bundlers)) {
    assert.ok(claim.includes(name), `CHANGELOG does not name ${name}: ${claim}`);
    assertGreen(pattern);
  }
  assert.ok(claim.includes('CommonJS') && claim.includes('single-file'), claim);
  assertGreen(/^Node/, /^require/);
  assertGreen(/^jest/, /without flags/);
  for (const browser of ['Chromium', 'Firefox', 'WebKit']) assertGreen(engines[browser], /^service worker/);
});

test('the engines of CHANGELOG', () => {
  const claim = sentence(changes, 'Node 20 or newer');
  for (const [name, pattern] of Object.entries(engines)) {
    assert.ok(claim.includes(name), `CHANGELOG does not name ${name}: ${claim}`);
    assertGreen(pattern);
  }
  const major = ({ name }) => Number(/^Node (\d+)$/.exec(name)?.[1] ?? Infinity);
  assert.equal(Math.min(...rows.map(major)), 20, 'the oldest Node of the table');
});
