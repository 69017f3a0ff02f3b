/** Colours for 0 to 255, from night over ember to paper white: even in brightness, so also right without colour. */
const STOPS: readonly (readonly [red: number, green: number, blue: number])[] = [
  [13, 11, 26],
  [52, 22, 92],
  [122, 36, 118],
  [192, 58, 104],
  [241, 106, 74],
  [254, 176, 92],
  [255, 247, 214],
];

/** One little-endian RGBA word for every level: a picture is then one look-up a pixel. */
export const HEAT = Uint32Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (STOPS.length - 1);
  const index = Math.min(STOPS.length - 2, Math.floor(place));
  const share = place - index;
  const channel = (which: 0 | 1 | 2): number =>
    Math.round(STOPS[index]![which] * (1 - share) + STOPS[index + 1]![which] * share);
  return ((255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0)) >>> 0;
});
