// Results of builds, shared by all clones of this machine: what the same sources gave before is copied, not built again.
// ccache does the same for objects, but not for links, and a WebAssembly module's code is generated at its link.
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

/** Results of one build cost up to 1.5 MB. */
const maxEntries = 60;

/**
 * Makes `results` (files below the project) by `work`, or copies them if they were made for this `key` before. Returns
 * true if it copied them.
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
  // Complete or absent, even if two clones build at the same time.
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
