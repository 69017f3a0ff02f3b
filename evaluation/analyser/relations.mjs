// Spatial relations of two objects.

// Tolerance of a box in pixels. Outlines are found to about a quarter of a pixel, and models are not exact.
const tolerance = 1;

/**
 * Returns the relation of `a` to `b`, objects with { centre: { x, y }, box }. It is 'inside' or 'around' if
 * one box lies within the other. Otherwise it is 'left of', 'right of', 'above' or 'below', by the axis along
 * which the centres are further apart.
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
  // Boxes of about the same size contain each other; then neither object is inside.
  const isSmaller = inner.right - inner.left < 0.8 * (outer.right - outer.left);
  return holds && isSmaller;
}
