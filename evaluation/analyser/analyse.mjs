// Finds the background and the flat shapes of named colours in a picture.
import { nearestName } from '../../support/colours.mjs';
import { componentsOf, encloses, interiorOf, isThin, joinIslands, pixelBox } from './components.mjs';
import { fitShapes } from './fit.mjs';
import { labelPixels } from './labels.mjs';
import { backgrounds, colours } from '../../support/palette.mjs';
import { medianColour, toPlanes } from './picture.mjs';
import { relationOf } from './relations.mjs';
import { shapes as sceneShapes } from './shapes.mjs';
import { noOwner, softMaskOf } from './soft_mask.mjs';

// Components with fewer pixels are specks. The smallest star of a scene, of radius 4.2, has an area of 25.
const minPixels = 9;
// An object whose best fit has a larger error (fit.mjs) has an unknown shape.
const maxError = 0.12;
// The number of interior pixels that determine the colour of an object. With fewer, the palette's colour is
// used.
const minInterior = 4;

const names = Object.keys(colours);

/**
 * `picture`: a Float32Array, planar [3, size, size] with values in [-1, 1], or the bytes of RGBA pixels.
 * `shapes`: the possible shapes (shapes.mjs), by default the six of the scenes. Throws TypeError or
 * RangeError for any other picture.
 *
 * Returns { background, backgroundColour, objects, relationOf }. `objects` is sorted by decreasing size: {
 * shape, colour, box: { left, top, right, bottom }, centre: { x, y }, radius, confidence, error, mask }.
 * Lengths are in pixels from the upper left corner. `shape` is 'unknown' if none fits. `confidence`, from 0
 * to 1, compares the best fit with the second best. `mask`: a Float32Array [size, size] with the covered
 * share of each pixel.
 */
export function analysePicture(picture, { shapes = sceneShapes } = {}) {
  const planar = toPlanes(picture);
  const backgroundColour = medianColour(planar, borderOf(planar.size));
  const labels = labelsOf(planar, backgroundColour);
  const components = joinIslands(withBoxes(componentsOf(labels, planar.size), planar.size))
    .filter(({ pixels }) => pixels.length >= minPixels)
    .sort(byPixels);

  const owners = new Int16Array(labels.length).fill(noOwner);
  for (const [index, { pixels }] of components.entries()) for (const pixel of pixels) owners[pixel] = index;
  const tints = components.map(
    (component) => interiorTint(planar, component) ?? colours[names[component.label - 1]],
  );
  const tint = (owner) => (owner === noOwner ? backgroundColour : tints[owner]);

  const objects = components
    .map((component, index) => {
      const occluders = new Set(
        [...components.keys()].filter((other) => encloses(component.box, components[other].box)),
      );
      const { mask, weights } = softMaskOf(planar, owners, index, tint, occluders);
      return {
        component,
        object: describe(component, mask, fitShapes(mask, weights, planar.size, component.box, shapes)),
      };
    })
    // A thin object of unknown shape is the rest of a soft edge, in a mixed colour.
    .filter(({ component, object }) => !(object.shape === 'unknown' && isThin(component, planar.size)))
    .map(({ object }) => object);
  return {
    background: nearestName(backgrounds, backgroundColour).name,
    backgroundColour,
    objects,
    relationOf,
  };
}

/**
 * Labels pixels by the colours of the palette, then again by the measured colours of the objects, since
 * models draw inexact colours.
 */
function labelsOf(picture, backgroundColour) {
  const tints = [backgroundColour, ...Object.values(colours)];
  const first = labelPixels(picture, tints);
  // The largest component comes last, so its tint wins.
  for (const component of componentsOf(first, picture.size).sort(byPixels).reverse()) {
    tints[component.label] = interiorTint(picture, component) ?? tints[component.label];
  }
  return labelPixels(picture, tints);
}

const byPixels = (a, b) => b.pixels.length - a.pixels.length;

const withBoxes = (components, size) =>
  components.map((component) => ({ ...component, box: pixelBox(component.pixels, size) }));

/** Returns the pixels along the four sides of the picture. */
function borderOf(size) {
  const border = [];
  for (let pixel = 0; pixel < size * size; ++pixel) {
    const column = pixel % size;
    const row = (pixel - column) / size;
    if (column === 0 || row === 0 || column === size - 1 || row === size - 1) border.push(pixel);
  }
  return border;
}

/** Returns the median colour of the interior pixels, or undefined if there are too few. */
function interiorTint(picture, component) {
  const interior = interiorOf(component, picture.size);
  return interior.length >= minInterior ? medianColour(picture, interior) : undefined;
}

function describe({ label, box }, mask, [best, second]) {
  const colour = names[label - 1];
  const known = best.error <= maxError;
  return {
    shape: known ? best.shape : 'unknown',
    colour,
    box: known ? best.box : box,
    centre: known ? centreOf(best.box) : centreOf(box),
    radius: known ? best.radius : Math.max(box.right - box.left, box.bottom - box.top) / 2,
    confidence: known && second.error > 0 ? 1 - best.error / second.error : 0,
    error: best.error,
    mask,
  };
}

const centreOf = ({ left, top, right, bottom }) => ({ x: (left + right) / 2, y: (top + bottom) / 2 });
