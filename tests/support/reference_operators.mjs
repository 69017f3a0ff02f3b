// Textbook implementations of the denoiser's operators in float64. A value is {shape, values}, row-major.

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** Returns a value of that shape with the elements element(…indices). */
export function fill(shape, element) {
  const values = new Float64Array(sizeOf(shape));
  const indices = shape.map(() => 0);
  for (let index = 0; index < values.length; ++index) {
    values[index] = element(...indices);
    let axis = shape.length - 1;
    for (; axis >= 0 && ++indices[axis] === shape[axis]; --axis) indices[axis] = 0;
  }
  return { shape, values };
}

/** Returns an element by its indices. */
const at = ({ shape, values }, ...indices) =>
  values[indices.reduce((flat, index, axis) => flat * shape[axis] + index, 0)];

const total = (count, term) => {
  let sum = 0;
  for (let index = 0; index < count; ++index) sum += term(index);
  return sum;
};

export const add = (a, b) => fill(a.shape, (...indices) => at(a, ...indices) + at(b, ...indices));

/** Adds `added` to the first entries of each batch row. */
export function broadcastAdd(x, added) {
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

/**
 * Sums term(tap row, tap column, neighbour) over those of the nine neighbours of a token that lie on the
 * grid.
 */
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

/** ids: integers [batch, length]. */
export const embed = (ids, table, positions) =>
  fill(
    [...ids.shape, table.shape[1]],
    (row, word, f) => at(table, at(ids, row, word), f) + at(positions, word, f),
  );

/** Returns the position of pixel (y, x) among patches of side²: [token, index within the patch]. */
const patchPosition = (y, x, across, side) => [
  Math.floor(y / side) * across + Math.floor(x / side),
  (y % side) * side + (x % side),
];

export function patchify(pixels, side) {
  const [batch, count, features] = pixels.shape;
  const size = Math.sqrt(count);
  const across = size / side;
  const result = fill([batch, across ** 2, side ** 2 * features], () => 0);
  for (let row = 0; row < batch; ++row) {
    for (let pixel = 0; pixel < count; ++pixel) {
      const [token, offset] = patchPosition(Math.floor(pixel / size), pixel % size, across, side);
      for (let f = 0; f < features; ++f) {
        const index = ((row * across ** 2 + token) * side ** 2 + offset) * features + f;
        result.values[index] = at(pixels, row, pixel, f);
      }
    }
  }
  return result;
}

export function unpatchify(patches, side) {
  const [batch, count, wide] = patches.shape;
  const across = Math.sqrt(count);
  const size = across * side;
  const features = wide / side ** 2;
  return fill([batch, size ** 2, features], (row, pixel, f) => {
    const [token, offset] = patchPosition(Math.floor(pixel / size), pixel % size, across, side);
    return at(patches, row, token, offset * features + f);
  });
}

/**
 * Returns d(Σ outputGradient · operator(…inputs)) / d(inputs[inputIndex]) by central differences. In float64
 * with steps of 1e-4 their error is about 1e-8 of the largest third derivative.
 */
export function centralDifferences(operator, inputs, inputIndex, outputGradient) {
  const step = 1e-4;
  const { values } = inputs[inputIndex];
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
