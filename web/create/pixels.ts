/** Conversions of small pictures. */

/** RGBA bytes of a square picture, row by row. */
export type Pixels = Uint8ClampedArray<ArrayBuffer>;

export function imageOf(pixels: Pixels): ImageData {
  const size = Math.sqrt(pixels.length / 4);
  return new ImageData(pixels, size, size);
}

/** Returns one byte per pixel: the largest difference of its three channels. */
export function differenceOf(one: Pixels, other: Pixels): Uint8Array {
  return Uint8Array.from({ length: one.length / 4 }, (_, pixel) => {
    let max = 0;
    for (let index = pixel * 4; index < pixel * 4 + 3; index++)
      max = Math.max(max, Math.abs(one[index]! - other[index]!));
    return max;
  });
}

/** Returns planar [3, size, size] values from -1 to 1, as the model expects them. */
export function planarOf(pixels: Pixels): Float32Array<ArrayBuffer> {
  const count = pixels.length / 4;
  const planar = new Float32Array(3 * count);
  for (let pixel = 0; pixel < count; pixel++) {
    for (let channel = 0; channel < 3; channel++)
      planar[channel * count + pixel] = pixels[pixel * 4 + channel]! / 127.5 - 1;
  }
  return planar;
}

/** Returns a text in a form for file names: "a red ring" → "a-red-ring". */
export function slugOf(text: string): string {
  return (
    text
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number}]+/gu, '-')
      .replace(/^-|-$/g, '')
      .slice(0, 80) || 'picture'
  );
}
