// The operators of the denoiser as a textbook writes them, in float64: a value is {shape, values}, row-major.

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** A value of that shape: element(…places) for each. */
export function fill(shape, element) {
  const values = new Float64Array(sizeOf(shape));
  const place = shape.map(() => 0);
  for (let index = 0; index < values.length; ++index) {
    values[index] = element(...place);
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis] === shape[axis]; --axis) place[axis] = 0;
  }
  return { shape, values };
}

/** An element by its places. */
const at = ({ shape, values }, ...place) =>
  values[place.reduce((index, each, axis) => index * shape[axis] + each, 0)];

const total = (count, term) => {
  let sum = 0;
  for (let index = 0; index < count; ++index) sum += term(index);
  return sum;
};

export const sum = (a, b) => fill(a.shape, (...place) => at(a, ...place) + at(b, ...place));

/** The entries of `added` on the first ones of every batch row. */
export function sumShared(x, added) {
  const row = sizeOf(x.shape.slice(1));
  const values = x.values.map((value, index) => value + (added.values[index % row] ?? 0));
  return { shape: x.shape, values };
}

export const linear = (x, weight, bias) =>
  fill(
    [...x.shape.slice(0, 2), weight.shape[0]],
    (row, token, out) =>
      bias.values[out] + total(weight.shape[1], (f) => at(x, row, token, f) * at(weight, out, f)),
  );

/** Calls use(tap's row, tap's column, neighbour) for the nine neighbours of a token that lie on the grid. */
function overTaps(token, side, term) {
  let sum = 0;
  for (let row = 0; row < 3; ++row) {
    for (let column = 0; column < 3; ++column) {
      const [y, x] = [Math.floor(token / side) + row - 1, (token % side) + column - 1];
      if (y >= 0 && y < side && x >= 0 && x < side) sum += term(row, column, y * side + x);
    }
  }
  return sum;
}

export const convolution = (x, weight) =>
  fill([x.shape[0], x.shape[1], weight.shape[3]], (batchRow, token, out) =>
    overTaps(token, Math.sqrt(x.shape[1]), (row, column, other) =>
      total(x.shape[2], (f) => at(weight, row, column, f, out) * at(x, batchRow, other, f)),
    ),
  );

export const depthwiseConvolution = (x, weight) =>
  fill(x.shape, (batchRow, token, feature) =>
    overTaps(
      token,
      Math.sqrt(x.shape[1]),
      (row, column, other) => at(weight, row, column, feature) * at(x, batchRow, other, feature),
    ),
  );

export const layerNorm = (x) =>
  fill(x.shape, (row, token, feature) => {
    const features = x.shape[2];
    const mean = total(features, (f) => at(x, row, token, f)) / features;
    const variance = total(features, (f) => (at(x, row, token, f) - mean) ** 2) / features;
    return (at(x, row, token, feature) - mean) / Math.sqrt(variance + 1e-6);
  });

const map = ({ shape, values }, change) => ({ shape, values: values.map(change) });
export const silu = (x) => map(x, (value) => value / (1 + Math.exp(-value)));
/** The tanh approximation. */
export const gelu = (x) =>
  map(x, (value) => 0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3))));

export const modulate = (x, modulation, part) =>
  fill(
    x.shape,
    (row, token, f) =>
      at(x, row, token, f) * (1 + at(modulation, row, part + 1, f)) + at(modulation, row, part, f),
  );
export const gatedSum = (x, branch, modulation, part) =>
  fill(
    x.shape,
    (row, token, f) => at(x, row, token, f) + at(modulation, row, part, f) * at(branch, row, token, f),
  );

/** ids: whole numbers [batch, length]. */
export const embed = (ids, table, positions) =>
  fill(
    [...ids.shape, table.shape[1]],
    (row, word, f) => at(table, at(ids, row, word), f) + at(positions, word, f),
  );

/** Where pixel (y, x) is among patches of side²: [token, place in it]. */
const placeOf = (y, x, across, side) => [
  Math.floor(y / side) * across + Math.floor(x / side),
  (y % side) * side + (x % side),
];

export function toPatches(pixels, side) {
  const [batch, count, features] = pixels.shape;
  const size = Math.sqrt(count);
  const across = size / side;
  const result = fill([batch, across ** 2, side ** 2 * features], () => 0);
  for (let row = 0; row < batch; ++row) {
    for (let pixel = 0; pixel < count; ++pixel) {
      const [token, place] = placeOf(Math.floor(pixel / size), pixel % size, across, side);
      for (let f = 0; f < features; ++f) {
        const index = ((row * across ** 2 + token) * side ** 2 + place) * features + f;
        result.values[index] = at(pixels, row, pixel, f);
      }
    }
  }
  return result;
}

export function fromPatches(patches, side) {
  const [batch, count, wide] = patches.shape;
  const across = Math.sqrt(count);
  const size = across * side;
  const features = wide / side ** 2;
  return fill([batch, size ** 2, features], (row, pixel, f) => {
    const [token, place] = placeOf(Math.floor(pixel / size), pixel % size, across, side);
    return at(patches, row, token, place * features + f);
  });
}

/**
 * d(Σ outputGradient · operator(…inputs)) / d(inputs[number]) by central differences. In float64 with steps of 1e-4 they are
 * good to about 1e-8 of the largest third derivative.
 */
export function centralDifferences(operator, inputs, number, outputGradient) {
  const step = 1e-4;
  const { values } = inputs[number];
  const weighted = () => {
    const { values: output } = operator(...inputs);
    return total(output.length, (index) => output[index] * outputGradient[index]);
  };
  return values.map((value, index) => {
    values[index] = value + step;
    const above = weighted();
    values[index] = value - step;
    const below = weighted();
    values[index] = value;
    return (above - below) / (2 * step);
  });
}
