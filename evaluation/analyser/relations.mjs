// How two objects lie to each other.

// Of a box, in pixels: outlines are found to about a quarter of a pixel, and models are not exact.
const tolerance = 1;

export const opposite = {
  'left of': 'right of',
  'right of': 'left of',
  above: 'below',
  below: 'above',
  inside: 'around',
  around: 'inside',
};

/**
 * What `a` is to `b`, objects with { centre: { x, y }, box }: 'inside' or 'around' where one's box lies within the
 * other's, else 'left of', 'right of', 'above' or 'below' by that axis along which the centres are further apart.
 */
export function relationOf(a, b) {
  if (isWithin(a, b)) return 'inside';
  if (isWithin(b, a)) return 'around';
  const right = a.centre.x - b.centre.x;
  const down = a.centre.y - b.centre.y;
  if (Math.abs(right) > Math.abs(down)) return right < 0 ? 'left of' : 'right of';
  return down < 0 ? 'above' : 'below';
}

function isWithin({ box: inner }, { box: outer }) {
  const holds =
    inner.left >= outer.left - tolerance &&
    inner.top >= outer.top - tolerance &&
    inner.right <= outer.right + tolerance &&
    inner.bottom <= outer.bottom + tolerance;
  // Two alike boxes lie within each other: neither is inside.
  const isSmaller = inner.right - inner.left < 0.8 * (outer.right - outer.left);
  return holds && isSmaller;
}
