// Paths of the project and of its cache.
import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const project = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The folder of downloads and build caches, shared by all clones on this machine. */
export const cache = path.join(
  process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'),
  'diffusion-cross-attention',
);
mkdirSync(cache, { recursive: true });
