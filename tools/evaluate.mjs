// npm run evaluate: how well the page's model does what prompts say. Arguments go to evaluation/run.mjs; --weights of
// another model, too.
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
  const weights = ['--weights', path.join(project, 'web/model/scenes.safetensors')];
  const given = process.argv.slice(2);
  await run(node, [path.join(project, 'evaluation/run.mjs'), ...weights, ...given], { show: true });
});
