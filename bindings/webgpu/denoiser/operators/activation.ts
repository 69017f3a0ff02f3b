// y = x·sigmoid(g(x)), as src/operators/activation.
import { assign, type ElementKernel, orAdds } from '../kernels';
import { sizeOf, type Tape, type Value } from '../tape';

export type Activation = 'silu' | 'gelu';

/** √(8/π), of the tanh approximation: tanh(a) = 2·sigmoid(2a) - 1. */
const factor = 1.5957691216057308;
const cubic = 0.044715;

/** g and its derivative, in WGSL. */
const gates: Record<Activation, { gate: string; slope: string }> = {
  silu: { gate: 'value', slope: '1.0' },
  gelu: {
    gate: `value * (${factor} + ${factor * cubic} * value * value)`,
    slope: `(${factor} + ${3 * factor * cubic} * value * value)`,
  },
};

/** Beyond ±80 it is 0 or 1 to the last bit, and e^80 is a number. */
const sigmoid = (kind: Activation): string =>
  `let value = x[i];
let s = 1.0 / (1.0 + exp(-clamp(${gates[kind].gate}, -80.0, 80.0)));`;

const forward = (kind: Activation): ElementKernel => ({
  label: kind,
  buffers: [
    ['x', 'read'],
    ['y', 'write'],
  ],
  body: `${sigmoid(kind)}
y[i] = value * s;`,
});

/** dy/dx = s + x·s·(1 - s)·g'(x) */
const backward = (kind: Activation, adds: boolean): ElementKernel => ({
  label: `${kind}, backward${orAdds(adds)}`,
  buffers: [
    ['x', 'read'],
    ['slope', 'read'],
    ['dx', 'write'],
  ],
  body: `${sigmoid(kind)}
${assign('dx[i]', `slope[i] * s * (1.0 + value * (1.0 - s) * ${gates[kind].slope})`, adds)}`,
});

export function activate(tape: Tape, x: Value, kind: Activation): Value {
  const count = sizeOf(x);
  const output = tape.value(kind, x.shape);
  tape.forElements(forward(kind), count, {}, [x.binding, output.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    const target = tape.target(x);
    if (target === null) return;
    tape.forElements(backward(kind, target.adds), count, {}, [x.binding, slope, target.binding]);
  });
  return output;
}
