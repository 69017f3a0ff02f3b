// Skips work whose inputs have not changed.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { project } from './paths.mjs';

const folder = path.join(project, 'build/stamps');

/** Returns a file, or all files in a folder, recursively. */
function filesOf(full) {
  if (path.extname(full)) return [full];
  const entries = readdirSync(full, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

/**
 * Returns a hash of texts and of files, which are relative to the project; a folder stands for all files in
 * it. The hash is the same in all clones with the same sources.
 */
export function fingerprint(texts, files = []) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text}\0`);
  for (const file of files) {
    const names = filesOf(path.join(project, file));
    for (const name of names.sort()) {
      hash.update(`${path.relative(project, name)}\0`).update(readFileSync(name));
    }
  }
  return hash.digest('hex');
}

const stampOf = (name) => path.join(folder, name);

/**
 * True if the work `name` was done for this `key` and all of its `results` (relative to the project) exist.
 */
export function isDone(name, key, results) {
  const exists = (result) => existsSync(path.join(project, result));
  return existsSync(stampOf(name)) && readFileSync(stampOf(name), 'utf8') === key && results.every(exists);
}

/** Calls `work` unless isDone. */
export async function unlessDone(name, key, results, work) {
  if (isDone(name, key, results)) return;
  rmSync(stampOf(name), { force: true });
  await work();
  mkdirSync(folder, { recursive: true });
  writeFileSync(stampOf(name), key);
}
