// How much of each pixel an object covers, by the colours at its edge.
import { mixtureOf } from '../../support/colours.mjs';
import { neighboursOf, pixelAt } from './picture.mjs';

/** The owner of pixels that belong to no object. */
export const nobody = -1;

/**
 * `owners`: for each pixel the index of its object, `nobody` for the background. `tintOf(owner)`: the owner's colour.
 * `hiders`: the set of owners that lie within this object.
 *
 * Returns { mask, weights }, one number a pixel each. `mask` is from 0 to 1. Weights are 0 where a hider may hide this
 * object, else 1.
 */
export function softMaskOf(picture, owners, index, tintOf, hiders) {
  const pixels = picture.size ** 2;
  const mask = new Float32Array(pixels);
  const weights = new Float32Array(pixels).fill(1);
  for (let pixel = 0; pixel < pixels; ++pixel) {
    const around = neighboursOf(picture.size, pixel);
    const own = owners[pixel] === index;
    const isHidden = own
      ? around.some((neighbour) => hiders.has(owners[neighbour]))
      : hiders.has(owners[pixel]);
    if (isHidden) weights[pixel] = 0;
    if (!own && !mayHold(owners, index, picture.size, pixel)) continue;
    const others = new Set([owners[pixel], ...around.map((neighbour) => owners[neighbour])]);
    others.delete(index);
    mask[pixel] = shareOf(pixelAt(picture, pixel), index, others, tintOf);
  }
  return { mask, weights };
}

/**
 * Whether a pixel of another owner may be partly covered: those beside the object, and where nothing else is near those
 * one further off, too, for the tips of stars and for edges that are not sharp.
 */
function mayHold(owners, index, size, pixel) {
  const around = neighboursOf(size, pixel);
  if (around.some((neighbour) => owners[neighbour] === index)) return true;
  const isAlone = owners[pixel] === nobody && around.every((neighbour) => owners[neighbour] === nobody);
  return (
    isAlone &&
    around.some((neighbour) => neighboursOf(size, neighbour).some((second) => owners[second] === index))
  );
}

/** The share of the object in a pixel's colour, mixed with the colour of that neighbour which explains it best. */
function shareOf(colour, index, others, tintOf) {
  // Within the object there is nothing to be mixed with.
  let best = { share: 1, residual: Infinity };
  for (const other of others) {
    const mixture = mixtureOf(colour, tintOf(other), tintOf(index));
    if (mixture.residual < best.residual) best = mixture;
  }
  return best.share;
}
