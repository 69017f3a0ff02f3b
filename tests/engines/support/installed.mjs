// Programs of the npm registry that only the tests of engines need. They are installed into the user's cache
// instead of node_modules: npm ci would download all of them for everyone.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../../tools/lib/commands.mjs';
import { cache } from '../../../tools/lib/paths.mjs';

const installing = new Map();

/**
 * Installs packages, each as `name@version`, into a folder of the cache unless they are there. Returns the
 * path of its node_modules.
 */
export function installed(...packages) {
  const key = packages.join(' ');
  if (!installing.has(key)) installing.set(key, install(packages));
  return installing.get(key);
}

async function install(packages) {
  const name = packages[0].replaceAll(/[^\w.-]+/g, '-').replace(/^-/, '');
  const folder = path.join(cache, 'engines', name);
  const stamp = path.join(folder, 'installed.txt');
  const wanted = packages.join('\n');
  if (!existsSync(stamp) || (await readFile(stamp, 'utf8')) !== wanted) {
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'package.json'), '{"private":true}');
    const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--no-save'];
    await run('npm', ['install', ...options, ...packages], { cwd: folder, seconds: 300 });
    await writeFile(stamp, wanted);
  }
  return path.join(folder, 'node_modules');
}

/** Returns the version of an installed package. */
export async function versionOf(modules, name) {
  return JSON.parse(await readFile(path.join(modules, name, 'package.json'), 'utf8')).version;
}
