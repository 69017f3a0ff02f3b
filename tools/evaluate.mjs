// npm run evaluate: how well the page's model does what prompts say. Arguments go to evaluation/run.mjs.
import path from 'node:path';
import { buildDist } from './lib/build.mjs';
import { run } from './lib/commands.mjs';
import { prepareNewerNode } from './lib/newer_node.mjs';
import { project } from './lib/paths.mjs';
import { main } from './lib/steps.mjs';

await main(async () => {
  await buildDist();
  const node = await prepareNewerNode();
  console.log();
  await run(node, [path.join(project, 'evaluation/run.mjs'), ...process.argv.slice(2)], { show: true });
});
