// Sums: of two values, of a value and what all batch rows share, and over tokens.
import { parameterStruct, type Kernel } from '../../kernels/kernel';
import type { Binding } from '../../recorder';
import { assign, builtins, declareBuffers, type ElementKernel, orAdds } from '../kernels';
import { sizeOf, type Tape, type Target, type Value } from '../tape';

const addition: ElementKernel = {
  label: 'a + b',
  buffers: [
    ['a', 'read'],
    ['b', 'read'],
    ['y', 'write'],
  ],
  body: 'y[i] = a[i] + b[i];',
};

const copy = (adds: boolean): ElementKernel => ({
  label: `copy${orAdds(adds)}`,
  buffers: [
    ['x', 'read'],
    ['y', 'write'],
  ],
  body: assign('y[i]', 'x[i]', adds),
});

/** A gradient goes on as it is. */
export function passOn(tape: Tape, slope: Binding, value: Value): void {
  const target = tape.target(value);
  if (target !== null) tape.forElements(copy(target.adds), sizeOf(value), {}, [slope, target.binding]);
}

/** a + b of one shape. */
export function sum(tape: Tape, a: Value, b: Value): Value {
  const output = tape.value('sum', a.shape);
  tape.forElements(addition, sizeOf(a), {}, [a.binding, b.binding, output.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    passOn(tape, slope, a);
    passOn(tape, slope, b);
  });
  return output;
}

const sharedAddition: ElementKernel = {
  label: 'x + shared',
  numbers: ['period', 'entries'],
  buffers: [
    ['x', 'read'],
    ['added', 'read'],
    ['y', 'write'],
  ],
  body: `let entry = i % p.period;
y[i] = x[i];
if (entry < p.entries) { y[i] += added[entry]; }`,
};

/** x with the entries of `shared` added to the first ones of every batch row. */
export function sumShared(tape: Tape, x: Value, shared: Value): Value {
  const output = tape.value('sum', x.shape);
  const count = sizeOf(x);
  const entries = sizeOf(shared);
  const batch = x.shape[0]!;
  const period = count / batch;
  tape.forElements(sharedAddition, count, { period, entries }, [x.binding, shared.binding, output.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    passOn(tape, slope, x);
    const target = tape.target(shared);
    if (target === null) return;
    const sizes = { outer: 1, tokens: batch, features: entries, tokenStride: period };
    sumTokens(tape, { ...sizes, values: slope, target });
  });
  return output;
}

/** Σ over tokens of values, or of products of two, [outer][tokens][features]: a workgroup takes 16 features. */
export interface TokenSum {
  outer: number;
  tokens: number;
  features: number;
  /** Elements from a token to the next; default: features. */
  tokenStride?: number;
  values: Binding;
  /** Multiplied by these, element by element. */
  factors?: Binding;
  target: Target;
  /** In the target, of the first sum and from one outer row to the next; default 0, features. */
  offset?: number;
  outerStride?: number;
}

const lanes = 16;

function tokenSumKernel(hasFactors: boolean, adds: boolean): Kernel {
  const names = ['tokens', 'features', 'tokenStride', 'offset', 'outerStride'];
  const buffers = [
    ['values', 'read'],
    ['sums', 'write'],
    ...(hasFactors ? [['factors', 'read'] as const] : []),
  ] as const;
  const code = (): string => `${parameterStruct(names)}${declareBuffers(buffers)}
var<workgroup> partial: array<f32, ${lanes * lanes}>;

@compute @workgroup_size(${lanes * lanes})
fn main(${builtins}) {
let feature = group.x * ${lanes}u + invocation % ${lanes}u;
let lane = invocation / ${lanes}u;
var sum = 0.0;
if (feature < p.features) {
  for (var token = lane; token < p.tokens; token += ${lanes}u) {
    let at = (group.y * p.tokens + token) * p.tokenStride + feature;
    sum += values[at]${hasFactors ? ' * factors[at]' : ''};
  }
}
partial[invocation] = sum;
workgroupBarrier();
if (lane == 0u && feature < p.features) {
  for (var other = 1u; other < ${lanes}u; other++) { sum += partial[other * ${lanes}u + invocation]; }
  ${assign('sums[p.offset + group.y * p.outerStride + feature]', 'sum', adds)}
}
}`;
  return { label: `sum over tokens${hasFactors ? ' of products' : ''}${orAdds(adds)}`, code };
}

export function sumTokens(tape: Tape, given: TokenSum): void {
  const { outer, tokens, features, tokenStride = features, values, factors, target } = given;
  const { offset = 0, outerStride = features } = given;
  tape.dispatch(
    tokenSumKernel(factors !== undefined, target.adds),
    [tokens, features, tokenStride, offset, outerStride],
    [],
    [values, target.binding, ...(factors ? [factors] : [])],
    [Math.ceil(features / lanes), outer, 1],
  );
}
