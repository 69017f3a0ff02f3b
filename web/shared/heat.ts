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
const HEAT = Uint32Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (STOPS.length - 1);
  const index = Math.min(STOPS.length - 2, Math.floor(place));
  const share = place - index;
  const channel = (which: 0 | 1 | 2): number =>
    Math.round(STOPS[index]![which] * (1 - share) + STOPS[index + 1]![which] * share);
  return ((255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0)) >>> 0;
});

/** How dark a picture gets where nobody looks, 0 to 255. */
const DARKEST = 225;

/** @param map one byte a place, size × size of them, 255 where the attention is strongest */
export function heatImage(map: Uint8Array, size: number): ImageData {
  const words = new Uint32Array(map.length);
  for (let place = 0; place < map.length; place++) words[place] = HEAT[map[place]!]!;
  return new ImageData(new Uint8ClampedArray(words.buffer), size, size);
}

/** The same map as a veil to lay over a picture: it lets through what is attended to. */
export function veilImage(map: Uint8Array, size: number): ImageData {
  const veil = new ImageData(size, size);
  // Black; only the alpha channel differs. The root lifts faint attention into sight.
  for (let place = 0; place < map.length; place++) {
    veil.data[place * 4 + 3] = DARKEST * (1 - Math.sqrt(map[place]! / 255));
  }
  return veil;
}
