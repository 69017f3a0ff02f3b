// The named colours, and mixtures of two colours: what anti-aliasing makes at an edge.

export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

/**
 * `colour` as a mixture (1 − share)·from + share·to: the share, from 0 to 1, that comes nearest, and how far off it is.
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

/** The name in a table of colours that is nearest, and its distance. */
export function nearestName(table, colour) {
  let best = { name: '', distance: Infinity };
  for (const [name, value] of Object.entries(table)) {
    const away = distance(colour, value);
    if (away < best.distance) best = { name, distance: away };
  }
  return best;
}
