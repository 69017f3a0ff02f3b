// Installs a newer Node than the minimum version, for tests of relaxed SIMD and other features. The npm
// packages node-<platform>-<architecture> contain only the program. It is not in node_modules/.bin, where it
// would replace the user's Node in every npm script.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { output, run } from './commands.mjs';
import { cache } from './paths.mjs';
import { step } from './steps.mjs';

const major = 26;

/** Installs Node 26 if it is missing. Returns its path. */
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
