// Analysis by synthesis: finds the shape, position and size whose drawing is closest to an object of the
// picture.
import { boxOf, coverageAt } from './shapes.mjs';

// Pattern search (Hooke and Jeeves, "Direct search solution of numerical and statistical problems", 1961)
// over the centre and the radius. Steps are in pixels.
const firstStep = 1;
const lastStep = 0.125;
// From this step size on, shapes that fit much worse than the best one are not refined: no step would make
// them the best.
const hopelessStep = 0.25;
const hopelessFactor = 2;
const hopelessMargin = 0.05;
const minRadius = 2;

// The mask assumes exact colours. A gain in this range allows for objects that are paler or stronger.
const minGain = 0.75;
const maxGain = 1.25;

/**
 * `mask`, `weights`: a number per pixel of size × size (soft_mask.mjs). `box`: the bounding box of the
 * component. `shapes`: the possible shapes by name.
 * Returns the fits { shape, x, y, radius, box, error } of all shapes, the best one first. `error`: the
 * weighted sum of squared differences divided by the sum of squares of the mask; 0 for equal masks.
 */
export function fitShapes(mask, weights, size, box, shapes) {
  const target = { ...window(mask, weights, size, box), shapes };
  const fits = Object.entries(shapes).map(([name, shape]) => {
    const placement = startOf(shape, box);
    return { shape: name, ...placement, error: errorOf(shape, placement, target) };
  });
  for (let step = firstStep; step >= lastStep; step /= 2) {
    const minError = Math.min(...fits.map(({ error }) => error));
    for (const fit of fits) {
      const isHopeless = step <= hopelessStep && fit.error > hopelessFactor * minError + hopelessMargin;
      if (!isHopeless) improve(fit, target, step);
    }
  }
  return fits
    .sort((a, b) => a.error - b.error)
    .map((fit) => ({ ...fit, box: boxOf(shapes[fit.shape], fit) }));
}

/** Returns the pixels within the box and a margin around it. */
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

/** Changes a fit by steps of this size while its error decreases. */
function improve(fit, target, step) {
  const shape = target.shapes[fit.shape];
  let better = true;
  while (better) {
    better = false;
    for (const key of ['x', 'y', 'radius']) {
      for (const move of [step, -step]) {
        const moved = { ...fit, [key]: fit[key] + move };
        if (moved.radius < minRadius) continue;
        moved.error = errorOf(shape, moved, target);
        if (moved.error >= fit.error) continue;
        Object.assign(fit, moved);
        better = true;
      }
    }
  }
}

/** Returns the position and radius at which the shape's bounding box matches `box`. */
function startOf(shape, { left, top, right, bottom }) {
  const side = Math.max(right - left, (bottom - top) / shape.halfHeight);
  return { x: (left + right) / 2, y: (top + bottom) / 2, radius: Math.max(minRadius, side / 2) };
}

function errorOf(shape, placement, { pixels, power }) {
  let product = 0;
  let drawn = 0;
  for (const { x, y, value } of pixels) {
    const coverage = coverageAt(shape, placement, x, y);
    product += coverage * value;
    drawn += coverage * coverage;
  }
  const gain = drawn > 0 ? Math.min(maxGain, Math.max(minGain, product / drawn)) : minGain;
  // Rounding errors may make the difference negative. If the mask is zero, no shape fits: the error is 1.
  return power > 0 ? Math.max(0, (power - 2 * gain * product + gain * gain * drawn) / power) : 1;
}
