// Sums of two values, and of a value and what all batch rows share.
import type { Binding } from '../../recorder';
import { sumTokens } from '../../token_sums';
import { assign, type ElementKernel, orAdds } from '../kernels';
import { sizeOf, type Tape, type Value } from '../tape';

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
    sumTokens(tape.recorder, { ...sizes, values: slope, target });
  });
  return output;
}
