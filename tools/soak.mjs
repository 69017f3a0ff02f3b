// Runs the package under mixed load for a long time, by hand: node tools/soak.mjs --minutes 30.
import path from 'node:path';
import { buildDist } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { runAsMain } from './lib/commands.mjs';
import { prepareNewerNode } from './lib/newer_node.mjs';
import { project } from './lib/paths.mjs';
import { main } from './lib/steps.mjs';

export const command = {
  name: 'node tools/soak.mjs',
  summary:
    'Runs a mixed load with threads in Node, whose workers are terminated in mid-call, and in Chromium, ' +
    'whose pages are reloaded in mid-call and lose their GPU devices. Prints memory, threads and handles, ' +
    'and their trends, which must be near zero. Needs Linux.',
  options: {
    where: {
      type: 'name',
      list: true,
      allowed: ['node', 'chromium'],
      default: ['node', 'chromium'],
      description: 'Where to run, one after another.',
    },
    minutes: { type: 'number', above: 0, default: 30, description: 'Duration of each.' },
  },
  examples: [
    ['', 'Runs half an hour in Node and half an hour in Chromium.'],
    ['--where node --minutes 5', 'Runs five minutes in Node.'],
  ],
};

if (process.argv[1] === import.meta.filename) {
  const { where, minutes } = readCommandLine(command);
  await main(async () => {
    await buildDist();
    const node = await prepareNewerNode();
    for (const each of where) {
      await runAsMain(node, [path.join(project, `bench/soak/${each}.mjs`), String(minutes)]);
    }
  });
}
