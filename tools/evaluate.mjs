// npm run evaluate: builds the package, then runs evaluation/run.mjs with the same arguments.
import path from 'node:path';
import { command } from '../evaluation/options.mjs';
import { buildDist } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { runAsMain } from './lib/commands.mjs';
import { prepareNewerNode } from './lib/newer_node.mjs';
import { project } from './lib/paths.mjs';
import { main } from './lib/steps.mjs';

readCommandLine(command);

await main(async () => {
  await buildDist();
  const node = await prepareNewerNode();
  console.log();
  await runAsMain(node, [path.join(project, 'evaluation/run.mjs'), ...process.argv.slice(2)]);
});
