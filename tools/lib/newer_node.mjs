// A newer Node than the one that runs us, for the tests: relaxed SIMD and the like. From npm, whose packages
// node-<platform>-<architecture> hold just the program. Kept out of node_modules/.bin, where it would take the place
// of the user's own Node in every npm script.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { output, run } from './commands.mjs';
import { cache } from './paths.mjs';
import { step } from './steps.mjs';

const major = 26;

/** The path of Node 26. */
export async function prepareNewerNode() {
  const folder = path.join(cache, `node-${major}`);
  const name = `node-${process.platform}-${process.arch}`;
  const program = path.join(folder, 'node_modules', name, 'bin', 'node');
  await step(`Node ${major} for the tests`, async () => {
    if (!existsSync(program)) {
      await run('npm', ['install', '--prefix', folder, '--no-save', '--no-audit', `${name}@${major}`]);
    }
    return output(program, ['--version']).trim();
  });
  return program;
}
