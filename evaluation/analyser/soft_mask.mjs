// Estimates the share of each pixel that an object covers, by the mixed colours at its edge.
import { mixtureOf } from '../../support/colours.mjs';
import { neighboursOf, pixelAt } from './picture.mjs';

/** The owner of pixels that belong to no object. */
export const noOwner = -1;

/**
 * `owners`: the index of the object of each pixel, `noOwner` for the background. `tintOf(owner)`: the colour
 * of an owner. `occluders`: the set of owners that lie within this object.
 *
 * Returns { mask, weights } with one number per pixel. `mask` is from 0 to 1. A weight is 0 if an occluder
 * may hide this object there, otherwise 1.
 */
export function softMaskOf(picture, owners, index, tintOf, occluders) {
  const pixels = picture.size ** 2;
  const mask = new Float32Array(pixels);
  const weights = new Float32Array(pixels).fill(1);
  for (let pixel = 0; pixel < pixels; ++pixel) {
    const around = neighboursOf(picture.size, pixel);
    const own = owners[pixel] === index;
    const isHidden = own
      ? around.some((neighbour) => occluders.has(owners[neighbour]))
      : occluders.has(owners[pixel]);
    if (isHidden) weights[pixel] = 0;
    if (!own && !mayBePartlyCovered(owners, index, picture.size, pixel)) continue;
    const others = new Set([owners[pixel], ...around.map((neighbour) => owners[neighbour])]);
    others.delete(index);
    mask[pixel] = shareOf(pixelAt(picture, pixel), index, others, tintOf);
  }
  return { mask, weights };
}

/**
 * Returns whether the object may partly cover a pixel of another owner. These are the neighbours of the
 * object and, if no other object is near, also the neighbours' neighbours, for the tips of stars and soft
 * edges.
 */
function mayBePartlyCovered(owners, index, size, pixel) {
  const around = neighboursOf(size, pixel);
  if (around.some((neighbour) => owners[neighbour] === index)) return true;
  const isAlone = owners[pixel] === noOwner && around.every((neighbour) => owners[neighbour] === noOwner);
  return (
    isAlone &&
    around.some((neighbour) => neighboursOf(size, neighbour).some((second) => owners[second] === index))
  );
}

/**
 * Returns the share of the object in a pixel's colour, assuming a mixture with the neighbour's colour that
 * fits best.
 */
function shareOf(colour, index, others, tintOf) {
  // Within the object there is no neighbour to mix with.
  let best = { share: 1, residual: Infinity };
  for (const other of others) {
    const mixture = mixtureOf(colour, tintOf(other), tintOf(index));
    if (mixture.residual < best.residual) best = mixture;
  }
  return best.share;
}
