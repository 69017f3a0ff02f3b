// The pointing game (Zhang et al., "Top-down neural attention by excitation backprop", 2016): the heat map of
// a word must have its maximum in the object that the word names.
import { findOne } from './analyser/index.mjs';

/** Prompts with more objects are not judged, because the maps of their words mix objects. */
export const maxObjects = 2;

/**
 * Returns an entry { word, hit } for each object of the scene that was found exactly once with its colour and
 * shape. `maps`: a heat map per word, [words, side, side]. `size`: the side of the picture in pixels.
 */
export function playPointing(found, scene, { words, maps }, size) {
  if (scene.objects.length > maxObjects) return [];
  return scene.objects.flatMap((expected) => {
    const object = findOne(found.objects, expected);
    if (object === undefined) return [];
    const { x, y } = peakOf(maps, words.length, wordIndexOf(words, expected), size);
    const { left, top, right, bottom } = object.box;
    return [{ word: expected.shape, hit: x >= left && x <= right && y >= top && y <= bottom }];
  });
}

/**
 * Returns the index of the word of an object's shape. It must follow the colour, since two objects may have
 * one shape.
 */
function wordIndexOf(words, { colour, shape }) {
  const index = words.findIndex((word, i) => word === shape && words[i - 1] === colour);
  if (index < 0) {
    throw new Error(`prompt is "${words.join(' ')}"; expected it to contain "${colour} ${shape}"`);
  }
  return index;
}

/** Returns the centre, in pixels of the picture, of the cell with the maximum of a word's heat map. */
function peakOf(maps, count, index, size) {
  const side = Math.sqrt(maps.length / count);
  if (!Number.isInteger(side)) {
    throw new Error(`maps has ${maps.length} elements; expected square maps of ${count} words`);
  }
  const map = maps.subarray(index * side * side, (index + 1) * side * side);
  const peak = map.reduce((best, value, cell) => (value > map[best] ? cell : best), 0);
  const cellSize = size / side;
  return { x: ((peak % side) + 0.5) * cellSize, y: (Math.floor(peak / side) + 0.5) * cellSize };
}
