// Connected components of pixels with the same label.
import { backgroundLabel } from './labels.mjs';
import { neighboursOf } from './picture.mjs';

/**
 * Returns the components { label, pixels } of all labels except the background, in reading order of their
 * first pixel. Diagonal neighbours are connected.
 */
export function componentsOf(labels, size) {
  const seen = new Uint8Array(labels.length);
  const components = [];
  for (const [start, label] of labels.entries()) {
    if (label === backgroundLabel || seen[start]) continue;
    const pixels = [start];
    seen[start] = 1;
    // Breadth-first search: the list grows during the loop.
    for (const pixel of pixels) {
      for (const neighbour of neighboursOf(size, pixel)) {
        if (labels[neighbour] !== label || seen[neighbour]) continue;
        seen[neighbour] = 1;
        pixels.push(neighbour);
      }
    }
    components.push({ label, pixels });
  }
  return components;
}

/**
 * Returns the pixels whose neighbours all belong to the component. They are not at an edge, so their colour
 * is not mixed.
 */
export function interiorOf({ pixels }, size) {
  const members = new Set(pixels);
  return pixels.filter((pixel) => {
    const neighbours = neighboursOf(size, pixel);
    return neighbours.length === 8 && neighbours.every((neighbour) => members.has(neighbour));
  });
}

/** Returns true if the component contains no block of 2 × 2 pixels. Then it is a streak, not an object. */
export function isThin({ pixels }, size) {
  const members = new Set(pixels);
  return !pixels.some(
    (pixel) =>
      pixel % size !== size - 1 &&
      members.has(pixel + 1) &&
      members.has(pixel + size) &&
      members.has(pixel + size + 1),
  );
}

/** Returns the bounding box along the edges of pixels: a single pixel at (3, 4) has the box 3, 4, 4, 5. */
export function pixelBox(pixels, size) {
  const box = { left: size, top: size, right: 0, bottom: 0 };
  for (const pixel of pixels) {
    const column = pixel % size;
    const row = Math.floor(pixel / size);
    box.left = Math.min(box.left, column);
    box.right = Math.max(box.right, column + 1);
    box.top = Math.min(box.top, row);
    box.bottom = Math.max(box.bottom, row + 1);
  }
  return box;
}

/** Returns true if one bounding box contains another one and is larger. */
export function encloses(outer, inner) {
  return (
    outer.left <= inner.left &&
    outer.top <= inner.top &&
    outer.right >= inner.right &&
    outer.bottom >= inner.bottom &&
    (outer.right - outer.left) * (outer.bottom - outer.top) >
      (inner.right - inner.left) * (inner.bottom - inner.top)
  );
}

/**
 * Joins islands to their component. An island is the part of an object that is visible through the hole of
 * another object within it. `components`: { label, pixels, box }.
 */
export function joinIslands(components) {
  const islands = new Map();
  for (const island of components) {
    const between = components.filter(
      ({ label, box }) => label !== island.label && encloses(box, island.box),
    );
    const mainland = components.find(
      ({ label, box }) => label === island.label && between.some((ring) => encloses(box, ring.box)),
    );
    if (mainland !== undefined) islands.set(island, mainland);
  }
  const joined = components.filter((component) => !islands.has(component));
  return joined.map((mainland) => {
    const parts = components.filter((component) => islands.get(component) === mainland);
    return { ...mainland, pixels: [mainland, ...parts].flatMap(({ pixels }) => pixels) };
  });
}
