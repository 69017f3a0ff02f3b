/** The colours that the model knows, and the colour of a picture's shape. */
import { nearestName } from '../../../support/colours.mjs';
import { backgrounds, colours } from '../../../support/palette.mjs';
import type { Pixels } from '../pixels';

/** Colours of shapes first, then colours that only backgrounds have. */
const allColours = { ...colours, ...backgrounds };

/** Pairs of name and CSS colour. */
export const paletteColours = Object.entries(allColours).map(
  ([name, parts]) => [name, `rgb(${parts.map((part) => Math.round(255 * part)).join(' ')})`] as const,
);

/**
 * Returns the name of the colour of at least half of the pixels that differ from the background; undefined if
 * there is no such colour or the model has no shapes of it. The background is the most frequent colour of
 * the border.
 */
export function shapeColour(pixels: Pixels): string | undefined {
  const size = Math.sqrt(pixels.length / 4);
  const names = Array.from({ length: size * size }, (_, pixel) => nameOf(pixels, pixel));
  const isBorder = (pixel: number): boolean =>
    [0, size - 1].includes(pixel % size) || [0, size - 1].includes(Math.floor(pixel / size));
  const background = mostFrequent(names.filter((_, pixel) => isBorder(pixel)));
  const shape = names.filter((name) => name !== background);
  const colour = mostFrequent(shape);
  const isMost = 2 * shape.filter((name) => name === colour).length >= shape.length;
  return isMost && colour !== undefined && colour in colours ? colour : undefined;
}

function nameOf(pixels: Pixels, pixel: number): string {
  const parts = Array.from(pixels.subarray(pixel * 4, pixel * 4 + 3), (byte) => byte / 255);
  return nearestName(allColours, parts).name;
}

function mostFrequent(names: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0];
}
