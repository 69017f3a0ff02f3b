// ccache: a second clone, and every later run, compile only what changed. Its files lie in the user's cache.
import path from 'node:path';
import { which } from './commands.mjs';
import { cache, project } from './paths.mjs';
import { SetUpError } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';

/** The environment of ccache. All clones share objects: paths below the project count relative to it. */
export const compilerCacheEnvironment = {
  CCACHE_DIR: path.join(cache, 'ccache'),
  CCACHE_MAXSIZE: '2G',
  CCACHE_BASEDIR: project,
  CCACHE_NOHASHDIR: '1',
};

/** True if this machine has ccache, after an attempt to install it: builds work without it. */
export async function hasCompilerCache() {
  try {
    await ensureSystemPackages(['ccache']);
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    console.log('  no ccache: every clone compiles all sources');
  }
  return which('ccache') !== null;
}
