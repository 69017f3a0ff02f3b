// npm run build:site: the demo site as static files in build/site.
import path from 'node:path';
import { buildDist } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { project } from './lib/paths.mjs';
import { main, step } from './lib/steps.mjs';

readCommandLine({
  name: 'npm run build:site',
  summary: 'Builds the demo site as static files in build/site, and the package that it needs.',
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
