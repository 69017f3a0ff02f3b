// npm run build: builds dist/, the importable package.
import { buildDist } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { main } from './lib/steps.mjs';

readCommandLine({
  name: 'npm run build',
  summary:
    'Builds the package in dist/: four WebAssembly variants and the JavaScript that loads them. Installs ' +
    'missing tools and rebuilds only what changed.',
  options: {},
  examples: [
    ['', 'Builds dist/.'],
    ['--help', 'Prints this help and builds nothing.'],
  ],
});

await main(() => buildDist());
