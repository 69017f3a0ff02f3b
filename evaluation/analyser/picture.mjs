// The analyser's representation of pictures: [red, green, blue] planes with values from 0 to 1.

/**
 * Converts a square picture. `picture`: a Float32Array, planar [3, size, size] with values in [-1, 1], or the
 * bytes of RGBA pixels, row by row (Uint8Array or Uint8ClampedArray). Alpha is ignored.
 */
export function toPlanes(picture) {
  const isBytes = picture instanceof Uint8Array || picture instanceof Uint8ClampedArray;
  if (!isBytes && !(picture instanceof Float32Array)) {
    throw new TypeError(
      `picture is ${picture?.constructor?.name ?? String(picture)}; ` +
        'expected a Float32Array [3, size, size] or the bytes of RGBA pixels',
    );
  }
  const channels = isBytes ? 4 : 3;
  const size = Math.sqrt(picture.length / channels);
  if (!Number.isInteger(size) || size < 8) {
    throw new RangeError(
      `picture has ${picture.length} elements; expected ${channels} · size² with size at least 8`,
    );
  }
  const pixels = size * size;
  const valueAt = isBytes
    ? (channel, pixel) => picture[4 * pixel + channel] / 255
    : (channel, pixel) => (picture[channel * pixels + pixel] + 1) / 2;
  const planes = [0, 1, 2].map((channel) => {
    const plane = Float64Array.from({ length: pixels }, (_, pixel) => valueAt(channel, pixel));
    const wrong = plane.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0)
      throw new RangeError(`picture contains ${plane[wrong]} at pixel ${wrong}; expected finite numbers`);
    return plane;
  });
  return { size, planes };
}

export const pixelAt = ({ planes }, pixel) => [planes[0][pixel], planes[1][pixel], planes[2][pixel]];

/** Returns the pixels of the 3 × 3 square around `pixel` that lie within the picture, except `pixel`. */
export function neighboursOf(size, pixel) {
  if (!tables.has(size)) tables.set(size, tableOf(size));
  return tables.get(size)[pixel];
}

// Caches the neighbours of each pixel by picture size, because they are used often.
const tables = new Map();

function tableOf(size) {
  return Array.from({ length: size * size }, (_, pixel) => {
    const column = pixel % size;
    const row = (pixel - column) / size;
    const neighbours = [];
    for (let y = Math.max(0, row - 1); y <= Math.min(size - 1, row + 1); ++y) {
      for (let x = Math.max(0, column - 1); x <= Math.min(size - 1, column + 1); ++x) {
        if (x !== column || y !== row) neighbours.push(y * size + x);
      }
    }
    return neighbours;
  });
}

/** Returns the median per channel. It is robust against a few wrong pixels. */
export function medianColour(picture, pixels) {
  return picture.planes.map((plane) => {
    const values = Float64Array.from(pixels, (pixel) => plane[pixel]).sort();
    return values[values.length >> 1];
  });
}
