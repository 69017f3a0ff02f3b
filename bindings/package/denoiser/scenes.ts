import { checkInteger, checkOneOf, readOptions } from '../checks';
import type { CoreScene } from './core';
import { getCore } from './runtime';

/**
 * A picture of one to three shapes, with its captions and the shapes' properties. Lengths are in pixels; y
 * points down.
 */
export interface Scene extends CoreScene {
  /** Planar [3, 32, 32], values from -1 to 1. */
  picture: Float32Array;
}

const size = 32;

/**
 * Returns a random scene like those of the training. The same seed gives the same scene.
 *
 * @param options.seed 0 to 2^53 - 1; default 0
 * @param options.split 'training' (the default), or 'heldOut' for scenes with a combination of colour, shape
 * and relation that the training does not have
 * @param options.objects number of shapes, 1 to 3; 0, the default, draws it at random
 */
export function randomScene(options?: {
  seed?: number;
  split?: 'training' | 'heldOut';
  objects?: number;
}): Scene {
  const given = readOptions('options', options, ['seed', 'split', 'objects']);
  const { seed = 0, split = 'training', objects = 0 } = given;
  checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkOneOf('split', split, ['training', 'heldOut']);
  checkInteger('objects', objects, 0, 3);
  const picture = new Float32Array(3 * size * size);
  const scene = getCore().randomScene(seed, split === 'heldOut', objects, picture);
  return { ...scene, picture };
}
