// The analyser's own drawings of the six shapes, by signed distances to their outlines. They are written from the shapes'
// description, not from the code that draws the scenes, so that a mistake there is found here.

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

// Of unit shapes, half as wide as their bounding box, which has its middle at 0: the hole of a ring, half the width of a
// cross's arms, the notches of a star by its points.
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

/** To a polygon that is its own mirror image; `corners`: [x, y] of its right half, from the top to the bottom. */
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
    // Edges that a ray to the right crosses; those of the left half are behind it.
    if (fromY > y !== toY > y && right < fromX + ((y - fromY) / edgeY) * edgeX) inside = !inside;
  }
  return (inside ? -1 : 1) * Math.sqrt(nearest);
}

/**
 * A shape that is its own mirror image; `corners` as above, of any size and height: made half as wide as 1, with the middle of its height
 * at 0.
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

/** By name: half the height of the unit shape's bounding box, and the signed distance to the unit shape, y downwards. */
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
 * How much of the pixel with its middle at (x, y) the shape covers, from 0 to 1, `place` being the middle and half the
 * width of its bounding box: an edge is one pixel wide.
 */
export function coverageAt(shape, place, x, y) {
  const { radius } = place;
  return clamp(0.5 - radius * shape.distance((x - place.x) / radius, (y - place.y) / radius), 0, 1);
}

export function boxOf(shape, { x, y, radius }) {
  const halfHeight = shape.halfHeight * radius;
  return { left: x - radius, top: y - halfHeight, right: x + radius, bottom: y + halfHeight };
}
