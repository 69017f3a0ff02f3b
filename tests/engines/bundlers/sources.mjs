// The source files of the program that bundlers build.
import { readFileSync } from 'node:fs';
import { runModule } from '../support/entries.mjs';

/** Reports to the server of the page. No top-level await: classic scripts do not have it. */
const main = `import { run } from './run.js';
// Options of init, which are texts.
run(Object.fromEntries(new URLSearchParams(location.search)))
  .then((result) => ({ result }), ({ message, stack }) => ({ error: message, stack }))
  .then((body) => fetch('./report', { method: 'POST', body: JSON.stringify(body) }));
`;

/** Returns index.html. @param {'module' | 'classic'} script kind of the script */
export const pageOf = (script) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>Case</title>
    <link rel="icon" href="data:," />
    <script ${script === 'module' ? 'type="module"' : 'defer'} src="./main.js"></script>
  </head>
  <body></body>
</html>
`;

export const sources = {
  'program.mjs': readFileSync(new URL('../program.mjs', import.meta.url), 'utf8'),
  'run.js': runModule(),
  'main.js': main,
  'index.html': pageOf('module'),
};
