// npm run build: dist/, the importable package.
import { buildDist } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { main } from './lib/steps.mjs';

readCommandLine({
  name: 'npm run build',
  summary:
    'Builds the package into dist/: four WebAssembly variants and the JavaScript around them. Installs what the build ' +
    'needs, and does again only what changed.',
  options: {},
  examples: [
    ['', 'Builds dist/.'],
    ['--help', 'Prints this help and builds nothing.'],
  ],
});

await main(() => buildDist());
