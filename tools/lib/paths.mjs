// Where things are.
import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const project = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** What is fetched once a machine: shared by all clones. */
export const cache = path.join(
  process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'),
  'diffusion-cross-attention',
);
mkdirSync(cache, { recursive: true });
