// The demo site as static files, built once for what its sources are now.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { project } from '../../../tools/lib/paths.mjs';

/** Test files run one process each; the stamp tells the second one that the site is there. */
const stamp = path.join(project, 'build/site-built-from');
const site = path.join(project, 'build/site');

/** The benchmark's page takes from bench/ and tests/support/, too. */
const sources = ['web', 'dist', 'bench', 'tests/support'];

function fingerprint() {
  const hash = createHash('sha256');
  for (const folder of sources) {
    const entries = readdirSync(path.join(project, folder), { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    for (const file of files.sort()) hash.update(file).update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** The folder of the built site. */
export async function buildSite() {
  const wanted = fingerprint();
  const isThere = existsSync(path.join(site, 'index.html'));
  if (isThere && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return site;
  const { build } = await import('vite');
  await build({ configFile: path.join(project, 'web/vite.config.ts'), logLevel: 'warn' });
  writeFileSync(stamp, wanted);
  return site;
}
