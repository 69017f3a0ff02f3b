// Analysis by synthesis: which of the six shapes, where and how large, drawn, comes nearest to what is seen.
import { boxOf, coverageAt } from './shapes.mjs';

// A pattern search (Hooke and Jeeves, "Direct search solution of numerical and statistical problems", 1961) over centre
// and radius, in pixels.
const firstStep = 1;
const lastStep = 0.125;
// From this step on shapes are left alone that fit so much worse than the best one that no step would help.
const hopelessStep = 0.25;
const hopelessFactor = 2;
const hopelessMargin = 0.05;
const leastRadius = 2;

// Coverages are read off the palette's colours; an object that is paler than it should be is drawn paler, too.
const leastGain = 0.75;
const mostGain = 1.25;

/**
 * `mask`, `weights`: numbers for each pixel of size × size (soft_mask.mjs); `box`: the bounding box of what is seen;
 * `shapes`: those that it may be, by name.
 * Returns the fits of all shapes, the best one first: { shape, x, y, radius, box, error }. `error`: the weighted sum of
 * squared differences as a share of the sum of squares of the mask, 0 for the same picture.
 */
export function fitShapes(mask, weights, size, box, shapes) {
  const seen = { ...window(mask, weights, size, box), shapes };
  const fits = Object.entries(shapes).map(([name, shape]) => {
    const place = startOf(shape, box);
    return { shape: name, ...place, error: errorOf(shape, place, seen) };
  });
  for (let step = firstStep; step >= lastStep; step /= 2) {
    const least = Math.min(...fits.map(({ error }) => error));
    for (const fit of fits) {
      const isHopeless = step <= hopelessStep && fit.error > hopelessFactor * least + hopelessMargin;
      if (!isHopeless) improve(fit, seen, step);
    }
  }
  return fits
    .sort((a, b) => a.error - b.error)
    .map((fit) => ({ ...fit, box: boxOf(shapes[fit.shape], fit) }));
}

/** The pixels that count: those around the box. */
function window(mask, weights, size, box) {
  const margin = 2;
  const pixels = [];
  for (let row = Math.max(0, box.top - margin); row < Math.min(size, box.bottom + margin); ++row) {
    for (let column = Math.max(0, box.left - margin); column < Math.min(size, box.right + margin); ++column) {
      const pixel = row * size + column;
      if (weights[pixel] > 0) pixels.push({ x: column + 0.5, y: row + 0.5, value: mask[pixel] });
    }
  }
  return { pixels, power: pixels.reduce((sum, { value }) => sum + value * value, 0) };
}

/** Moves a fit by steps of this length as long as it gets better. */
function improve(fit, seen, step) {
  const shape = seen.shapes[fit.shape];
  let better = true;
  while (better) {
    better = false;
    for (const key of ['x', 'y', 'radius']) {
      for (const move of [step, -step]) {
        const place = { ...fit, [key]: fit[key] + move };
        if (place.radius < leastRadius) continue;
        place.error = errorOf(shape, place, seen);
        if (place.error >= fit.error) continue;
        Object.assign(fit, place);
        better = true;
      }
    }
  }
}

/** The place at which the shape's bounding box is like the one that is seen. */
function startOf(shape, { left, top, right, bottom }) {
  const side = Math.max(right - left, (bottom - top) / shape.halfHeight);
  return { x: (left + right) / 2, y: (top + bottom) / 2, radius: Math.max(leastRadius, side / 2) };
}

function errorOf(shape, place, { pixels, power }) {
  let product = 0;
  let drawn = 0;
  for (const { x, y, value } of pixels) {
    const coverage = coverageAt(shape, place, x, y);
    product += coverage * value;
    drawn += coverage * coverage;
  }
  const gain = drawn > 0 ? Math.min(mostGain, Math.max(leastGain, product / drawn)) : leastGain;
  // Rounding may leave a little less than nothing. What cannot be seen at all is fitted by nothing.
  return power > 0 ? Math.max(0, (power - 2 * gain * product + gain * gain * drawn) / power) : 1;
}
