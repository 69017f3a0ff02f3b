// Builds the demo site as static files, once per state of its sources.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { project } from '../../tools/lib/paths.mjs';

const sites = path.join(project, 'build/test-sites');
const hour = 3_600_000;

/** The benchmark page imports from bench/, all pages import from support/. */
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
 * Builds the site and returns its folder. Several processes (test files) may call this at the same time: each
 * builds in a separate folder, and the first one to finish renames it.
 */
export async function buildSite() {
  const name = fingerprint();
  const site = path.join(sites, name);
  if (existsSync(site)) return site;
  mkdirSync(sites, { recursive: true });
  removeOldSites();
  const { build } = await import('vite');
  const unfinished = `${site}-${process.pid}`;
  await build({
    configFile: path.join(project, 'web/vite.config.ts'),
    logLevel: 'warn',
    build: { outDir: unfinished },
  });
  try {
    renameSync(unfinished, site);
  } catch (error) {
    if (!existsSync(site)) throw error;
    rmSync(unfinished, { recursive: true });
  }
  return site;
}

/** Removes sites that are older than an hour. Running tests do not use them. */
function removeOldSites() {
  for (const name of readdirSync(sites)) {
    const site = path.join(sites, name);
    const { mtimeMs } = statSync(site, { throwIfNoEntry: false }) ?? { mtimeMs: Infinity };
    if (mtimeMs < Date.now() - hour) rmSync(site, { recursive: true, force: true });
  }
}
