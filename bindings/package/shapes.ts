/** Returns the number of elements of a shape: the product of its dimensions, 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((size, dimension) => size * dimension, 1);

/** True if both shapes have the same rank and the same dimensions. */
export const isSameShape = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((dimension, axis) => dimension === right[axis]);
