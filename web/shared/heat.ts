/** Heat maps of attention as images. */

/** Colours for the levels 0 to 255, from dark to light. Their brightness rises evenly. */
const heatStops: readonly (readonly [red: number, green: number, blue: number])[] = [
  [13, 11, 26],
  [52, 22, 92],
  [122, 36, 118],
  [192, 58, 104],
  [241, 106, 74],
  [254, 176, 92],
  [255, 247, 214],
];

/** One little-endian RGBA word per level, so that an image needs one look-up per pixel. */
const heatColours = Uint32Array.from({ length: 256 }, (_, level) => {
  const position = (level / 255) * (heatStops.length - 1);
  const index = Math.min(heatStops.length - 2, Math.floor(position));
  const share = position - index;
  const channel = (which: 0 | 1 | 2): number =>
    Math.round(heatStops[index]![which] * (1 - share) + heatStops[index + 1]![which] * share);
  return ((255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0)) >>> 0;
});

/** Opacity of the veil where the attention is 0, from 0 to 255. */
const maxVeilAlpha = 225;

/**
 * Returns a map as an image in heat colours.
 *
 * @param map size × size bytes, 255 where the attention is strongest
 */
export function heatImage(map: Uint8Array, size: number): ImageData {
  const words = Uint32Array.from(map, (level) => heatColours[level]!);
  return new ImageData(new Uint8ClampedArray(words.buffer), size, size);
}

/** Returns a map as a dark overlay for a picture, transparent where the attention is strongest. */
export function veilImage(map: Uint8Array, size: number): ImageData {
  const veil = new ImageData(size, size);
  // The overlay is black; only the alpha channel varies. The square root makes faint attention visible.
  for (let index = 0; index < map.length; index++) {
    veil.data[index * 4 + 3] = maxVeilAlpha * (1 - Math.sqrt(map[index]! / 255));
  }
  return veil;
}
