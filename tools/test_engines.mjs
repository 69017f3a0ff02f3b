// npm run test:engines: runs the checked program in all engines and kinds of pages, and writes the table of
// docs/engines.md.
import path from 'node:path';
import { prepareBrowser } from './lib/browser.mjs';
import { buildDist } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { runAsMain } from './lib/commands.mjs';
import { project } from './lib/paths.mjs';
import { main, step } from './lib/steps.mjs';
import { ensureSystemPackages } from './lib/system_packages.mjs';

const groups = ['node', 'runtimes', 'bundlers', 'chromium', 'firefox', 'webkit', 'site'];

export const command = {
  name: 'npm run test:engines',
  summary:
    'Runs the same checked program with the packed package in Node, Deno, Bun, test runners, ' +
    'bundlers, Chromium, Firefox and WebKit. Prints what each saw and updates the table of ' +
    'docs/engines.md. Installs the engines and builds the package.',
  options: {
    only: {
      type: 'name',
      list: true,
      allowed: groups,
      default: groups,
      description: 'Groups to run.',
    },
    match: {
      type: 'string',
      placeholder: 'PATTERN',
      description:
        'Runs only cases whose text "group: environment, condition" matches this regular expression, ' +
        'without regard to case.',
    },
    list: { type: 'boolean', description: 'Lists the cases and runs none.' },
    'no-write': {
      type: 'boolean',
      description:
        'Does not change docs/engines.md. By default, the rows of the cases that ran are replaced.',
    },
  },
  examples: [
    ['--only firefox,webkit', 'Runs all cases of two browsers.'],
    ['--match "service worker" --no-write', 'Runs the service workers of all browsers.'],
  ],
  check: ({ match }) => {
    try {
      new RegExp(match ?? '');
    } catch (error) {
      return `--match is ${match}; expected a regular expression (${error.message})`;
    }
  },
};

async function test({ only, match, list, 'no-write': noWrite }) {
  if (!list) {
    await buildDist();
    await step('browsers', () => ensureSystemPackages(['firefox', 'webkit', 'xvfb']));
    await prepareBrowser();
  }
  const options = { only, match, list, write: !noWrite };
  await runAsMain(process.execPath, [path.join(project, 'tests/engines/run.mjs'), JSON.stringify(options)]);
}

if (process.argv[1] === import.meta.filename) {
  const options = readCommandLine(command);
  await main(() => test(options));
}
