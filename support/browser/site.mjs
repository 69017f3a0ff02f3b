// The demo site as static files, built once for what its sources are now.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { project } from '../../tools/lib/paths.mjs';

const sites = path.join(project, 'build/test-sites');
const hour = 3_600_000;

/** The benchmark's page imports from bench/, pages import from support/. */
const sources = ['web', 'dist', 'bench', 'support'];

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

/**
 * The folder of the built site. Test files are processes of their own, which may call this at the same time: each builds in
 * a folder of its own, and the first one to finish renames it.
 */
export async function buildSite() {
  const name = fingerprint();
  const site = path.join(sites, name);
  if (existsSync(site)) return site;
  mkdirSync(sites, { recursive: true });
  removeOldSites();
  const { build } = await import('vite');
  const own = `${site}-${process.pid}`;
  await build({
    configFile: path.join(project, 'web/vite.config.ts'),
    logLevel: 'warn',
    build: { outDir: own },
  });
  try {
    renameSync(own, site);
  } catch (error) {
    if (!existsSync(site)) throw error;
    rmSync(own, { recursive: true });
  }
  return site;
}

/** Sites of earlier sources. Tests that are running do not use one that is older than an hour. */
function removeOldSites() {
  for (const name of readdirSync(sites)) {
    const site = path.join(sites, name);
    const { mtimeMs } = statSync(site, { throwIfNoEntry: false }) ?? { mtimeMs: Infinity };
    if (mtimeMs < Date.now() - hour) rmSync(site, { recursive: true, force: true });
  }
}
