// npm run build:site: builds the demo site as static files in build/site.
import path from 'node:path';
import { buildDist } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { project } from './lib/paths.mjs';
import { main, step } from './lib/steps.mjs';

readCommandLine({
  name: 'npm run build:site',
  summary: 'Builds the package, and the demo site as static files in build/site.',
  options: {},
  examples: [
    ['', 'Builds build/site.'],
    ['--help', 'Prints this help and builds nothing.'],
  ],
});

await main(async () => {
  await buildDist();
  await step('site in build/site', async () => {
    const { build } = await import('vite');
    await build({ configFile: path.join(project, 'web/vite.config.ts'), logLevel: 'warn' });
  });
});
