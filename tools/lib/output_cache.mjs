// A cache of build outputs, shared by all clones on this machine: outputs of the same sources are copied, not
// built again. ccache does the same for objects, but not for linking, where the code of a WebAssembly module
// is generated.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import path from 'node:path';
import { cache, project } from './paths.mjs';

const folder = path.join(cache, 'outputs');

/** The outputs of one build have up to 1.5 MB. */
const maxEntries = 60;

/**
 * Copies `results` (paths relative to the project) from the cache if they exist for this `key`, else calls
 * `work`, which makes them. Returns true if they were copied.
 */
export async function cachedOutputs(key, results, work) {
  const entry = path.join(folder, key);
  if (existsSync(entry)) {
    for (const result of results) cpSync(path.join(entry, result), path.join(project, result));
    const now = new Date();
    utimesSync(entry, now, now);
    return true;
  }
  await work();
  // The renaming is atomic: an entry is complete even if two clones build at the same time.
  const unfinished = `${entry}.${process.pid}`;
  for (const result of results) cpSync(path.join(project, result), path.join(unfinished, result));
  if (existsSync(entry)) rmSync(unfinished, { recursive: true });
  else renameSync(unfinished, entry);
  removeOldest();
  return false;
}

function removeOldest() {
  mkdirSync(folder, { recursive: true });
  const entries = readdirSync(folder).map((name) => path.join(folder, name));
  const byAge = entries
    .map((entry) => [statSync(entry).mtimeMs, entry])
    .sort(([one], [other]) => other - one)
    .map(([, entry]) => entry);
  for (const entry of byAge.slice(maxEntries)) rmSync(entry, { recursive: true, force: true });
}
