// Assigns each pixel to the background or to one of the named colours.
import { distance, mixtureOf } from '../../support/colours.mjs';
import { neighboursOf, pixelAt } from './picture.mjs';

/** The label of the background. The colours have the labels from 1 on, in the palette's order. */
export const backgroundLabel = 0;

// A mixture of the colours of two neighbours explains a pixel if it is at most maxMixtureDistance from the
// pixel's colour and at most mixtureSlack worse than the pixel's own label.
const maxMixtureDistance = 0.16;
const mixtureSlack = 0.05;

/** Returns a label per pixel. `tints`: the colour of each label. */
export function labelPixels(picture, tints) {
  let labels = Uint8Array.from({ length: picture.size ** 2 }, (_, pixel) =>
    nearestLabel(pixelAt(picture, pixel), tints),
  );
  // Two passes, because a soft edge may be wider than one pixel. Each pass resolves it from both sides.
  for (let pass = 0; pass < 2; ++pass) labels = resolveEdges(picture, labels, tints);
  return labels;
}

function nearestLabel(colour, tints) {
  let best = 0;
  let minDistance = Infinity;
  for (const [label, tint] of tints.entries()) {
    const tintDistance = distance(colour, tint);
    if (tintDistance < minDistance) [best, minDistance] = [label, tintDistance];
  }
  return best;
}

/**
 * Relabels pixels at edges: a mixture of red and white looks pink. If the colour of a pixel lies between
 * those of two neighbours with other labels, the pixel is at an edge and gets the label of the neighbour with
 * the larger share.
 */
function resolveEdges(picture, labels, tints) {
  const resolved = Uint8Array.from(labels);
  for (const [pixel, own] of labels.entries()) {
    const others = new Set(neighboursOf(picture.size, pixel).map((neighbour) => labels[neighbour]));
    others.delete(own);
    if (others.size < 2) continue;
    const colour = pixelAt(picture, pixel);
    let minResidual = Math.min(maxMixtureDistance, distance(colour, tints[own]) + mixtureSlack);
    const choices = [...others].sort((a, b) => a - b);
    for (const [index, from] of choices.entries()) {
      for (const to of choices.slice(index + 1)) {
        const { share, residual } = mixtureOf(colour, tints[from], tints[to]);
        if (residual >= minResidual) continue;
        minResidual = residual;
        resolved[pixel] = share < 0.5 ? from : to;
      }
    }
  }
  return resolved;
}
