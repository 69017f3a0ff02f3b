/**
 * The initial picture: a balloon over the sea in the evening. It is computed, so that the site needs no image
 * file and every machine gets the same pixels. A canvas anti-aliases differently in each browser, and tests
 * compare figures.
 *
 * The scene is a function from a point of the unit square (x to the right, y down) to a colour. Each pixel is
 * the mean of a grid of points, which makes the edges smooth.
 */

import type { PictureSource } from '../../shared/picture_source';

type Colour = readonly [red: number, green: number, blue: number];

const pointsPerPixelSide = 6;
const horizon = 0.7;

const skyStops: readonly (readonly [height: number, colour: Colour])[] = [
  [0.0, [44, 38, 110]],
  [0.25, [112, 62, 150]],
  [0.47, [226, 104, 134]],
  [0.62, [252, 166, 104]],
  [0.7, [255, 214, 138]],
];
const sunColour: Colour = [255, 244, 204];
const sunCentre = { x: 0.3, y: 0.56 };
const farMountains: Colour = [134, 84, 146];
const nearMountains: Colour = [78, 56, 118];
const seaNear: Colour = [22, 60, 112];
const seaFar: Colour = [126, 128, 172];
const balloon = { x: 0.66, y: 0.27, radius: 0.19 };
const balloonStripes: readonly Colour[] = [
  [232, 62, 72],
  [255, 196, 62],
  [36, 166, 160],
  [250, 246, 232],
  [36, 166, 160],
  [255, 196, 62],
  [232, 62, 72],
];

export const samplePicture: PictureSource = {
  at: (size) => ({ name: 'Sample picture', size, pixels: drawSamplePicture(size) }),
};

/** RGBA bytes of the scene, `size` × `size` pixels, row by row. */
export function drawSamplePicture(size: number): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(size * size * 4);
  const points = pointsPerPixelSide;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let point = 0; point < points * points; point++) {
        const x = (column + ((point % points) + 0.5) / points) / size;
        const y = (row + (Math.floor(point / points) + 0.5) / points) / size;
        const colour = sceneAt(x, y);
        red += colour[0];
        green += colour[1];
        blue += colour[2];
      }
      const share = 1 / (points * points);
      pixels.set([red * share, green * share, blue * share, 255], (row * size + column) * 4);
    }
  }
  return pixels;
}

/** Returns the colour of the front-most object at a point. */
function sceneAt(x: number, y: number): Colour {
  return boatAt(x, y) ?? balloonAt(x, y) ?? (y > horizon ? seaAt(x, y) : (landAt(x, y) ?? skyAt(x, y)));
}

function skyAt(x: number, y: number): Colour {
  const distance = Math.hypot(x - sunCentre.x, y - sunCentre.y);
  if (distance < 0.085) return sunColour;
  const glow = 0.75 * Math.exp(-((distance - 0.085) * 9));
  return mix(gradientAt(skyStops, y), sunColour, glow);
}

function landAt(x: number, y: number): Colour | undefined {
  const near = horizon - 0.1 * peak(x, 0.98, 0.34) - 0.055 * peak(x, 0.7, 0.2) - 0.07 * peak(x, -0.02, 0.22);
  if (y > near) return mix(nearMountains, farMountains, clamp((y - near) * 5));
  const far = horizon - 0.17 * peak(x, 0.84, 0.3) - 0.12 * peak(x, 0.56, 0.24) - 0.1 * peak(x, 0.1, 0.2);
  if (y > far) return mix(farMountains, [255, 170, 150], clamp((y - far) * 4.5));
  return undefined;
}

/** The sea reflects the sun as a broken column of light and darkens towards the viewer. */
function seaAt(x: number, y: number): Colour {
  const depth = (y - horizon) / (1 - horizon);
  const water = mix(seaFar, seaNear, Math.sqrt(depth));
  const wave = 0.5 + 0.5 * Math.sin(26 * Math.sqrt(depth + 0.02) + 2.2 * Math.sin(x * 9));
  const width = 0.075 + 0.1 * depth;
  const column = Math.exp(-(((x - sunCentre.x) / width) ** 2));
  const shimmer = 0.22 * wave * (1 - depth);
  return mix(water, [255, 206, 150], clamp(column * (0.25 + 0.75 * wave) * (1 - 0.45 * depth) + shimmer));
}

function balloonAt(x: number, y: number): Colour | undefined {
  const { radius } = balloon;
  const across = (x - balloon.x) / radius;
  const down = (y - balloon.y) / radius;
  // A sphere above its equator, tapering to a narrow mouth below it.
  const half = down < 0 ? Math.sqrt(Math.max(0, 1 - down * down)) : Math.cos(Math.min(down, 1.3) * 1.02);
  if (down > -1 && down < 1.3 && Math.abs(across) < half) {
    const round = across / half;
    const turn = Math.asin(round) / Math.PI + 0.5;
    const stripe =
      balloonStripes[Math.min(balloonStripes.length - 1, Math.floor(turn * balloonStripes.length))]!;
    const light = clamp(0.62 - 0.5 * round - 0.15 * down);
    return mix(mix(stripe, [58, 22, 78], 0.42), mix(stripe, [255, 255, 255], 0.12), light);
  }
  if (down > 1.62 && down < 1.95 && Math.abs(across) < 0.2) return [112, 66, 44];
  const rope = Math.abs(Math.abs(across) - 0.19);
  if (down >= 1.3 && down <= 1.62 && rope < 0.035) return [70, 40, 60];
  return undefined;
}

function boatAt(x: number, y: number): Colour | undefined {
  const across = x - 0.73;
  const down = y - 0.86;
  if (down > 0 && down < 0.045 && Math.abs(across) < 0.125 - down * 1.1) return [96, 36, 52];
  if (down <= -0.005 && down > -0.2) {
    const height = (down + 0.2) / 0.195;
    if (across > 0.012 && across < 0.012 + 0.1 * height)
      return mix([255, 250, 238], [236, 196, 176], across * 9);
    if (across < -0.008 && across > -0.008 - 0.075 * (height - 0.15)) return [240, 96, 84];
  }
  return undefined;
}

/** A rounded hill of height 1 at `centre`, which ends at the distance `reach`. */
function peak(x: number, centre: number, reach: number): number {
  const distance = Math.abs(x - centre) / reach;
  return distance < 1 ? 0.5 + 0.5 * Math.cos(Math.PI * distance) : 0;
}

function gradientAt(stops: typeof skyStops, position: number): Colour {
  const next = stops.findIndex(([height]) => height >= position);
  if (next === 0) return stops[0]![1];
  if (next < 0) return stops.at(-1)![1];
  const [startHeight, start] = stops[next - 1]!;
  const [endHeight, end] = stops[next]!;
  return mix(start, end, (position - startHeight) / (endHeight - startHeight));
}

function mix(from: Colour, to: Colour, share: number): Colour {
  return [
    from[0] + (to[0] - from[0]) * share,
    from[1] + (to[1] - from[1]) * share,
    from[2] + (to[2] - from[2]) * share,
  ];
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
