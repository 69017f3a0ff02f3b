// Distances between colours, mixtures of two colours (anti-aliased edges), and names of colours.

/** Euclidean distance between two colours [r, g, b]. */
export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

/**
 * Approximates `colour` by a mixture (1 − share)·from + share·to. Returns the share, from 0 to 1, with the
 * smallest distance, and that distance (`residual`).
 */
export function mixtureOf(colour, from, to) {
  let along = 0;
  let length = 0;
  for (let channel = 0; channel < 3; ++channel) {
    const step = to[channel] - from[channel];
    along += (colour[channel] - from[channel]) * step;
    length += step * step;
  }
  const share = length > 0 ? Math.min(1, Math.max(0, along / length)) : 0;
  const nearest = from.map((value, channel) => value + share * (to[channel] - value));
  return { share, residual: distance(colour, nearest) };
}

/** Returns the name and the distance of the colour in `table` that is nearest to `colour`. */
export function nearestName(table, colour) {
  let best = { name: '', distance: Infinity };
  for (const [name, value] of Object.entries(table)) {
    const candidate = distance(colour, value);
    if (candidate < best.distance) best = { name, distance: candidate };
  }
  return best;
}
