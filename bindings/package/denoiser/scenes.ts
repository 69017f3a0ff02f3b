import { checkInteger, checkOneOf, checkOptions } from '../checks';
import type { CoreScene } from './core';
import { getCore } from './runtime';

/** A picture of one to three shapes, and what is true of it. Lengths in pixels, y downwards. */
export interface Scene extends CoreScene {
  /** Planar [3, 32, 32], values from -1 to 1. */
  picture: Float32Array;
}

const size = 32;

/**
 * A scene like those that the model learns from. `split`: 'training', or 'heldOut', those with a combination of colour,
 * shape and relation that it has never seen; `objects`: 1, 2 or 3; 0: drawn like the seed's rest.
 */
export function randomScene(options?: {
  seed?: number;
  split?: 'training' | 'heldOut';
  objects?: number;
}): Scene {
  const { seed = 0, split = 'training', objects = 0 } = checkOptions('options', options);
  checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkOneOf('split', split, ['training', 'heldOut']);
  checkInteger('objects', objects, 0, 3);
  const picture = new Float32Array(3 * size * size);
  const scene = getCore().randomScene(seed, split === 'heldOut', objects, picture);
  return { ...scene, picture };
}
