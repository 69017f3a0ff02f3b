// The pointing game (Zhang et al., "Top-down neural attention by excitation backprop", 2016): does the heat map of a word
// have its maximum in the object that the word names?
import { findOne } from './analyser/index.mjs';

/** Prompts with more objects are not judged: what the maps of their words mix is not what this test is about. */
export const mostObjects = 2;

/**
 * One entry for each of the scene's objects that was found in the picture, once and in the right colour and shape:
 * { word, hit }. `maps`: a heat map for each of `words`, [words, side, side]; `size`: the picture's side in pixels.
 */
export function playPointing(found, scene, { words, maps }, size) {
  if (scene.objects.length > mostObjects) return [];
  return scene.objects.flatMap((wanted) => {
    const object = findOne(found.objects, wanted);
    if (object === undefined) return [];
    const { x, y } = peakOf(maps, words.length, wordOf(words, wanted), size);
    const { left, top, right, bottom } = object.box;
    return [{ word: wanted.shape, hit: x >= left && x <= right && y >= top && y <= bottom }];
  });
}

/** The place of the word for the object's shape: right after the word for its colour, for shapes may come twice. */
function wordOf(words, { colour, shape }) {
  const index = words.findIndex((word, place) => word === shape && words[place - 1] === colour);
  if (index < 0) throw new Error(`the prompt's words ${words.join(' ')} do not hold "${colour} ${shape}"`);
  return index;
}

/** The middle, in pixels of the picture, of the cell in which a word's heat map is largest. */
function peakOf(maps, count, index, size) {
  const side = Math.sqrt(maps.length / count);
  if (!Number.isInteger(side)) throw new Error(`${maps.length} numbers are no square maps of ${count} words`);
  const map = maps.subarray(index * side * side, (index + 1) * side * side);
  const peak = map.reduce((best, value, cell) => (value > map[best] ? cell : best), 0);
  const cellSize = size / side;
  return { x: ((peak % side) + 0.5) * cellSize, y: (Math.floor(peak / side) + 0.5) * cellSize };
}
