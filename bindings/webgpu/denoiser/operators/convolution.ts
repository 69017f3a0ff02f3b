// 3×3 convolutions of tokens on a square grid, with zeros around it, as src/operators/convolution and depthwise_convolution.
import { sumTokens } from '../../token_sums';
import { assign, type ElementKernel, orAdds } from '../kernels';
import { sizeOf, type Tape, type Value } from '../tape';
import { addWeightGradient, rowsOf } from './linear';

const taps = 9;

/** The token that lies a tap's step from token `t`, and whether that is on the grid; `sign` -1: the other way. */
const neighbour = (sign: '+' | '-'): string => `let row = i32(t / p.side) ${sign} (i32(tap / 3u) - 1);
let column = i32(t % p.side) ${sign} (i32(tap % 3u) - 1);
let isOnGrid = min(row, column) >= 0 && max(row, column) < i32(p.side);
let other = u32(row) * p.side + u32(column);`;

/** [tokens, 9 · features]: what each token's weights are multiplied by. */
const gather: ElementKernel = {
  label: 'convolution, gather',
  numbers: ['side', 'features'],
  buffers: [
    ['x', 'read'],
    ['gathered', 'write'],
  ],
  body: `let feature = i % p.features;
let tap = i / p.features % ${taps}u;
let token = i / (p.features * ${taps}u);
let t = token % (p.side * p.side);
${neighbour('+')}
let first = token - t;
gathered[i] = 0.0;
if (isOnGrid) { gathered[i] = x[(first + other) * p.features + feature]; }`,
};

/** `sum`, of a term over the taps of element `i`, one feature of a token. */
const sumOverTaps = (sign: '+' | '-', term: string): string => `let feature = i % p.features;
let token = i / p.features;
let t = token % (p.side * p.side);
let first = token - t;
var sum = 0.0;
for (var tap = 0u; tap < ${taps}u; tap++) {
  ${neighbour(sign)}
  if (isOnGrid) { sum += ${term}; }
}`;

/** The way back: each token sums up what its neighbours have made of it. */
const scatter = (adds: boolean): ElementKernel => ({
  label: `convolution, scatter${orAdds(adds)}`,
  numbers: ['side', 'features'],
  buffers: [
    ['gathered', 'read'],
    ['x', 'write'],
  ],
  body: `${sumOverTaps('-', `gathered[((first + other) * ${taps}u + tap) * p.features + feature]`)}
${assign('x[i]', 'sum', adds)}`,
});

/** x: [batch, side², inFeatures]; weight: [3, 3, inFeatures, outFeatures]. */
export function convolution(tape: Tape, x: Value, weight: Value): Value {
  const [batch, tokens, inFeatures] = x.shape as [number, number, number];
  const outFeatures = weight.shape.at(-1)!;
  const side = Math.sqrt(tokens);
  const wide = taps * inFeatures;
  const rows = batch * tokens;
  const output = tape.value('convolution', [batch, tokens, outFeatures]);
  const numbers = { side, features: inFeatures };
  // Nine times the input: made again for the backward, not kept.
  const gathered = { buffer: tape.take('gathered', 4 * rows * wide) };
  const gatherInput = (): void => tape.forElements(gather, rows * wide, numbers, [x.binding, gathered]);

  gatherInput();
  tape.multiply({
    a: rowsOf(gathered, wide),
    b: rowsOf(weight.binding, outFeatures),
    c: rowsOf(output.binding, outFeatures),
    rows,
    columns: outFeatures,
    depth: wide,
    outer: 1,
    inner: 1,
  });
  tape.onBackward(() => {
    const slope = tape.slope(output);
    if (weight.gradient !== null) {
      gatherInput();
      addWeightGradient(tape, weight, gathered, slope, { batch, tokens });
    }
    const target = tape.target(x);
    if (target === null) return;
    tape.multiply({
      a: rowsOf(slope, outFeatures),
      b: { ...rowsOf(weight.binding, outFeatures), rowStride: 1, columnStride: outFeatures },
      c: rowsOf(gathered, wide),
      rows,
      columns: wide,
      depth: outFeatures,
      outer: 1,
      inner: 1,
    });
    tape.forElements(scatter(target.adds), sizeOf(x), numbers, [gathered, target.binding]);
  });
  return output;
}

/** Each feature by itself; backwards the same with the taps turned round. */
const depthwise = (isBackward: boolean, adds: boolean): ElementKernel => ({
  label: `depthwise convolution${isBackward ? ', backward' : ''}${orAdds(adds)}`,
  numbers: ['side', 'features'],
  buffers: [
    ['x', 'read'],
    ['weight', 'read'],
    ['y', 'write'],
  ],
  body: `${sumOverTaps(isBackward ? '-' : '+', 'weight[tap * p.features + feature] * x[(first + other) * p.features + feature]')}
${assign('y[i]', 'sum', adds)}`,
});

/** d(weight) of one batch row: [batch, 9, features]. */
const depthwiseWeight: ElementKernel = {
  label: 'depthwise convolution, weight',
  numbers: ['side', 'features'],
  buffers: [
    ['x', 'read'],
    ['slope', 'read'],
    ['gradient', 'write'],
  ],
  body: `let feature = i % p.features;
let tap = i / p.features % ${taps}u;
let first = i / (p.features * ${taps}u) * p.side * p.side;
var sum = 0.0;
for (var t = 0u; t < p.side * p.side; t++) {
  ${neighbour('+')}
  if (isOnGrid) { sum += slope[(first + t) * p.features + feature] * x[(first + other) * p.features + feature]; }
}
gradient[i] = sum;`,
};

/** x: [batch, side², features]; weight: [3, 3, features]. */
export function depthwiseConvolution(tape: Tape, x: Value, weight: Value): Value {
  const [batch, tokens, features] = x.shape as [number, number, number];
  const numbers = { side: Math.sqrt(tokens), features };
  const count = sizeOf(x);
  const output = tape.value('depthwise convolution', x.shape);
  tape.forElements(depthwise(false, false), count, numbers, [x.binding, weight.binding, output.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    const ofWeight = tape.target(weight);
    if (ofWeight !== null) {
      const size = taps * features;
      const parts = { buffer: tape.take('depthwise weight gradients', 4 * batch * size) };
      tape.forElements(depthwiseWeight, batch * size, numbers, [x.binding, slope, parts]);
      sumTokens(tape.recorder, { outer: 1, tokens: batch, features: size, values: parts, target: ofWeight });
    }
    const target = tape.target(x);
    if (target === null) return;
    tape.forElements(depthwise(true, target.adds), count, numbers, [slope, weight.binding, target.binding]);
  });
  return output;
}
