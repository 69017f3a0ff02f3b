// What is to be seen in a picture: a background and flat shapes of named colours.
import { nearestName } from '../../support/colours.mjs';
import { componentsOf, encloses, interiorOf, isThin, joinIslands, pixelBox } from './components.mjs';
import { fitShapes } from './fit.mjs';
import { labelPixels } from './labels.mjs';
import { backgrounds, colours } from '../../support/palette.mjs';
import { medianColour, toPlanes } from './picture.mjs';
import { relationOf } from './relations.mjs';
import { shapes as sceneShapes } from './shapes.mjs';
import { nobody, softMaskOf } from './soft_mask.mjs';

// Fewer pixels than this are a speck. A scene's smallest star, of radius 4.2, has an area of 25.
const leastPixels = 9;
// An object whose best fit misses more of it than this share (fit.mjs) has an unknown shape.
const mostError = 0.12;
// As many pixels away from any edge tell an object's own colour; of fewer the palette's is taken.
const leastInterior = 4;

const names = Object.keys(colours);

/**
 * `picture`: a Float32Array, planar [3, size, size] with values in [-1, 1], or the bytes of RGBA pixels. `shapes`:
 * those that there may be (shapes.mjs), by default the scenes' six. Throws TypeError or RangeError for anything else.
 *
 * Returns { background, backgroundColour, objects, relationOf }. `objects`, the largest first:
 * { shape, colour, box: { left, top, right, bottom }, centre: { x, y }, radius, confidence, error, mask }, lengths in
 * pixels from the upper left corner. `shape` is 'unknown' where none of them fits. `confidence`, 0 to 1: how much
 * better the best shape fits than the second best. `mask`: a Float32Array [size, size], how much of each pixel the object
 * covers.
 */
export function analysePicture(picture, { shapes = sceneShapes } = {}) {
  const seen = toPlanes(picture);
  const backgroundColour = medianColour(seen, borderOf(seen.size));
  const labels = labelsOf(seen, backgroundColour);
  const components = joinIslands(withBoxes(componentsOf(labels, seen.size), seen.size))
    .filter(({ pixels }) => pixels.length >= leastPixels)
    .sort(byPixels);

  const owners = new Int16Array(labels.length).fill(nobody);
  for (const [index, { pixels }] of components.entries()) for (const pixel of pixels) owners[pixel] = index;
  const tints = components.map(
    (component) => interiorTint(seen, component) ?? colours[names[component.label - 1]],
  );
  const tint = (owner) => (owner === nobody ? backgroundColour : tints[owner]);

  const objects = components
    .map((component, index) => {
      const hiders = new Set(
        [...components.keys()].filter((other) => encloses(component.box, components[other].box)),
      );
      const { mask, weights } = softMaskOf(seen, owners, index, tint, hiders);
      return {
        component,
        object: describe(component, mask, fitShapes(mask, weights, seen.size, component.box, shapes)),
      };
    })
    // What remains of a soft edge is a streak of a colour in between.
    .filter(({ component, object }) => !(object.shape === 'unknown' && isThin(component, seen.size)))
    .map(({ object }) => object);
  return {
    background: nearestName(backgrounds, backgroundColour).name,
    backgroundColour,
    objects,
    relationOf,
  };
}

/** Labels by the palette's colours, and again by those which the objects turned out to have: no model's are exact. */
function labelsOf(picture, backgroundColour) {
  const tints = [backgroundColour, ...Object.values(colours)];
  const first = labelPixels(picture, tints);
  // The largest component of a colour has the last word.
  for (const component of componentsOf(first, picture.size).sort(byPixels).reverse()) {
    tints[component.label] = interiorTint(picture, component) ?? tints[component.label];
  }
  return labelPixels(picture, tints);
}

const byPixels = (a, b) => b.pixels.length - a.pixels.length;

const withBoxes = (components, size) =>
  components.map((component) => ({ ...component, box: pixelBox(component.pixels, size) }));

/** The pixels along the picture's four sides. */
function borderOf(size) {
  const border = [];
  for (let pixel = 0; pixel < size * size; ++pixel) {
    const column = pixel % size;
    const row = (pixel - column) / size;
    if (column === 0 || row === 0 || column === size - 1 || row === size - 1) border.push(pixel);
  }
  return border;
}

/** The colour of the pixels away from any edge; undefined where there are too few. */
function interiorTint(picture, component) {
  const interior = interiorOf(component, picture.size);
  return interior.length >= leastInterior ? medianColour(picture, interior) : undefined;
}

function describe({ label, box }, mask, [best, second]) {
  const colour = names[label - 1];
  const known = best.error <= mostError;
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
