/** The model's own colours by name, and which of them a picture's shape has. */
import type { Pixels } from '../pixels.ts';

interface Colour {
  readonly name: string;
  readonly rgb: readonly [red: number, green: number, blue: number];
}

/** Of shapes. */
const SHAPE_COLOURS: readonly Colour[] = [
  { name: 'red', rgb: [224, 20, 26] },
  { name: 'orange', rgb: [245, 128, 13] },
  { name: 'yellow', rgb: [242, 235, 31] },
  { name: 'green', rgb: [26, 166, 38] },
  { name: 'cyan', rgb: [26, 217, 230] },
  { name: 'blue', rgb: [26, 51, 230] },
  { name: 'purple', rgb: [140, 20, 166] },
  { name: 'pink', rgb: [245, 128, 191] },
];

/** Brightest ones first to hand; those that only backgrounds have last. */
export const COLOURS: readonly Colour[] = [
  ...SHAPE_COLOURS,
  { name: 'white', rgb: [255, 255, 255] },
  { name: 'gray', rgb: [128, 128, 128] },
  { name: 'brown', rgb: [92, 56, 26] },
  { name: 'black', rgb: [0, 0, 0] },
];

/**
 * The name of the colour that at least half of what stands out from the picture's background has; undefined where there is
 * none, or the model knows no shape of it. The background: what most of the picture's border is.
 */
export function shapeColour(pixels: Pixels): string | undefined {
  const size = Math.sqrt(pixels.length / 4);
  const names = Array.from({ length: size * size }, (_, pixel) => nearestName(pixels, pixel));
  const isBorder = (pixel: number): boolean =>
    [0, size - 1].includes(pixel % size) || [0, size - 1].includes(Math.floor(pixel / size));
  const background = mostFrequent(names.filter((_, pixel) => isBorder(pixel)));
  const shape = names.filter((name) => name !== background);
  const colour = mostFrequent(shape);
  const isMost = 2 * shape.filter((name) => name === colour).length >= shape.length;
  return isMost && SHAPE_COLOURS.some(({ name }) => name === colour) ? colour : undefined;
}

function nearestName(pixels: Pixels, pixel: number): string {
  const distance = ({ rgb }: Colour): number =>
    rgb.reduce((sum, value, channel) => sum + (value - pixels[pixel * 4 + channel]!) ** 2, 0);
  return COLOURS.reduce((best, colour) => (distance(colour) < distance(best) ? colour : best)).name;
}

function mostFrequent(names: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0];
}
