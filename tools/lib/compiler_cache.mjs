// ccache: a second clone, and every later build, compile only what changed. Its files are in the user's cache
// folder.
import path from 'node:path';
import { which } from './commands.mjs';
import { cache, project } from './paths.mjs';
import { SetUpError } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';

/**
 * The environment of ccache. All clones share objects, because paths below the project are hashed as relative
 * paths.
 */
export const compilerCacheEnvironment = {
  CCACHE_DIR: path.join(cache, 'ccache'),
  CCACHE_MAXSIZE: '2G',
  CCACHE_BASEDIR: project,
  CCACHE_NOHASHDIR: '1',
};

/** Tries to install ccache. Returns true if it is available. Builds work without it. */
export async function hasCompilerCache() {
  try {
    await ensureSystemPackages(['ccache']);
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    console.log('  ccache is not available: every clone compiles all sources');
  }
  return which('ccache') !== null;
}
