// Draws the six shapes by signed distances to their outlines. The formulas follow the description of the
// shapes, not the code that draws the scenes, so that errors in that code are found.

const clamp = (value, min, max) => Math.min(max, Math.max(min, value));

// Unit shapes have a bounding box of half-width 1, centred at 0. These are the radius of a ring's hole, half
// the width of a cross's arms, and the ratio of the inner to the outer radius of a star.
const ringHole = 0.55;
const crossArm = 0.31;
const starNotch = 0.45;

function boxDistance(x, y, halfWidth, halfHeight) {
  const outX = Math.abs(x) - halfWidth;
  const outY = Math.abs(y) - halfHeight;
  const inside = Math.min(Math.max(outX, outY), 0);
  const beyondX = Math.max(outX, 0);
  const beyondY = Math.max(outY, 0);
  return Math.sqrt(beyondX * beyondX + beyondY * beyondY) + inside;
}

/**
 * Returns the signed distance to a polygon with mirror symmetry. `corners`: [x, y] of its right half, from
 * top to bottom.
 */
function mirroredDistance(x, y, corners) {
  const right = Math.abs(x);
  let nearest = Infinity;
  let inside = false;
  for (let index = 1; index < corners.length; ++index) {
    const [fromX, fromY] = corners[index - 1];
    const [toX, toY] = corners[index];
    const edgeX = toX - fromX;
    const edgeY = toY - fromY;
    const projection = (right - fromX) * edgeX + (y - fromY) * edgeY;
    const along = clamp(projection / (edgeX * edgeX + edgeY * edgeY), 0, 1);
    const awayX = right - fromX - along * edgeX;
    const awayY = y - fromY - along * edgeY;
    nearest = Math.min(nearest, awayX * awayX + awayY * awayY);
    // Counts the edges that a ray to the right crosses. It cannot cross edges of the left half.
    if (fromY > y !== toY > y && right < fromX + ((y - fromY) / edgeY) * edgeX) inside = !inside;
  }
  return (inside ? -1 : 1) * Math.sqrt(nearest);
}

/**
 * Returns a shape with mirror symmetry. `corners` as in mirroredDistance, of any size; they are scaled to a
 * half-width of 1 and centred vertically at 0.
 */
export function mirrored(corners) {
  const halfWidth = Math.max(...corners.map(([x]) => x));
  const top = Math.min(...corners.map(([, y]) => y));
  const bottom = Math.max(...corners.map(([, y]) => y));
  const unit = corners.map(([x, y]) => [x / halfWidth, (y - (top + bottom) / 2) / halfWidth]);
  return {
    halfHeight: (bottom - top) / 2 / halfWidth,
    distance: (x, y) => mirroredDistance(x, y, unit),
  };
}

const equilateral = [
  [0, 0],
  [1, Math.sqrt(3)],
  [0, Math.sqrt(3)],
];

const fivePoints = [0, 1, 2, 3, 4, 5].map((tenth) => {
  const length = tenth % 2 === 0 ? 1 : starNotch;
  return [length * Math.sin((tenth * Math.PI) / 5), -length * Math.cos((tenth * Math.PI) / 5)];
});

/**
 * Shapes by name: half the height of the unit shape's bounding box, and the signed distance to it, y pointing
 * down.
 */
export const shapes = {
  circle: { halfHeight: 1, distance: (x, y) => Math.sqrt(x * x + y * y) - 1 },
  square: { halfHeight: 1, distance: (x, y) => boxDistance(x, y, 1, 1) },
  triangle: mirrored(equilateral),
  star: mirrored(fivePoints),
  ring: {
    halfHeight: 1,
    distance: (x, y) => {
      const length = Math.sqrt(x * x + y * y);
      return Math.max(length - 1, ringHole - length);
    },
  },
  cross: {
    halfHeight: 1,
    distance: (x, y) => Math.min(boxDistance(x, y, 1, crossArm), boxDistance(x, y, crossArm, 1)),
  },
};

/**
 * Returns the share, from 0 to 1, of the pixel with its centre at (x, y) that the shape covers. `placement`:
 * the centre and half the width of its bounding box, { x, y, radius }. Edges are one pixel wide.
 */
export function coverageAt(shape, placement, x, y) {
  const { radius } = placement;
  return clamp(0.5 - radius * shape.distance((x - placement.x) / radius, (y - placement.y) / radius), 0, 1);
}

export function boxOf(shape, { x, y, radius }) {
  const halfHeight = shape.halfHeight * radius;
  return { left: x - radius, top: y - halfHeight, right: x + radius, bottom: y + halfHeight };
}
