// Which colour each pixel belongs to: the background or one of the named colours.
import { distance, mixtureOf } from '../../support/colours.mjs';
import { neighboursOf, pixelAt } from './picture.mjs';

/** The label of the background; the colours follow from 1 on, in the palette's order. */
export const backgroundLabel = 0;

// A mixture of two neighbours' colours explains a pixel when it comes this near, and not much worse than the pixel's own
// label does.
const mixtureReach = 0.16;
const mixtureSlack = 0.05;

/** `tints`: the colour of each label. Returns a label for each pixel. */
export function labelPixels(picture, tints) {
  let labels = Uint8Array.from({ length: picture.size ** 2 }, (_, pixel) =>
    nearestLabel(pixelAt(picture, pixel), tints),
  );
  // Twice: an edge that is softer than one pixel is eaten from both sides.
  for (let pass = 0; pass < 2; ++pass) labels = resolveEdges(picture, labels, tints);
  return labels;
}

function nearestLabel(colour, tints) {
  let best = 0;
  let least = Infinity;
  for (const [label, tint] of tints.entries()) {
    const away = distance(colour, tint);
    if (away < least) [best, least] = [label, away];
  }
  return best;
}

/**
 * Half red and half white look pink. A pixel that lies between two neighbours of other labels, in the picture and in its
 * colour, is an edge, and goes to the neighbour of which it holds more.
 */
function resolveEdges(picture, labels, tints) {
  const resolved = Uint8Array.from(labels);
  for (const [pixel, own] of labels.entries()) {
    const others = new Set(neighboursOf(picture.size, pixel).map((neighbour) => labels[neighbour]));
    others.delete(own);
    if (others.size < 2) continue;
    const colour = pixelAt(picture, pixel);
    let least = Math.min(mixtureReach, distance(colour, tints[own]) + mixtureSlack);
    const choices = [...others].sort((a, b) => a - b);
    for (const [index, from] of choices.entries()) {
      for (const to of choices.slice(index + 1)) {
        const { share, residual } = mixtureOf(colour, tints[from], tints[to]);
        if (residual >= least) continue;
        least = residual;
        resolved[pixel] = share < 0.5 ? from : to;
      }
    }
  }
  return resolved;
}
