// The packed package, installed into small projects as users install it.
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from '../../../tools/lib/commands.mjs';
import { project } from '../../../tools/lib/paths.mjs';

const quiet = ['--no-audit', '--no-fund', '--ignore-scripts'];
let folder = null;
let tarball = null;

/**
 * Creates an empty folder that is removed when this process ends. It is outside of the project, so that
 * nothing is found in the project's node_modules.
 */
export async function temporaryFolder(name) {
  if (folder === null) {
    folder = await mkdtemp(path.join(os.tmpdir(), 'cross-attention-engines-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  }
  const result = path.join(folder, name);
  await mkdir(result, { recursive: true });
  return result;
}

/** Returns the path of the tarball that `npm pack` makes of dist/ as it is. */
export function packedTarball() {
  tarball ??= pack();
  return tarball;
}

async function pack() {
  const target = await temporaryFolder('packed');
  // --ignore-scripts: prepack would build the package again.
  const printed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', target], {
    cwd: project,
  });
  const [{ filename }] = JSON.parse(printed.slice(printed.indexOf('[')));
  return path.join(target, filename);
}

/**
 * Creates a project in which the packed package is installed. Returns its folder.
 *
 * @param {string} name of the folder
 * @param {Record<string, string>} [files] contents by path
 * @param {object} [manifest] package.json
 */
export async function newProject(name, files = {}, manifest = { type: 'module' }) {
  const target = await temporaryFolder(name);
  const all = { 'package.json': JSON.stringify({ private: true, ...manifest }), ...files };
  for (const [file, content] of Object.entries(all)) {
    await mkdir(path.dirname(path.join(target, file)), { recursive: true });
    await writeFile(path.join(target, file), content);
  }
  await run('npm', ['install', ...quiet, '--no-save', await packedTarball()], { cwd: target });
  return target;
}
