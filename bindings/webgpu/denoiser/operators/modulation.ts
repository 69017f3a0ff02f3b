// How the time steers a block, as src/operators/modulation. A modulation is [batch, parts, features]; x [batch, tokens, features].
import { sumTokens } from '../../token_sums';
import { assign, type ElementKernel, orAdds } from '../kernels';
import { sizeOf, type Tape, type Value } from '../tape';
import { passOn } from './sums';

const numbers = ['row', 'features', 'modulationRow', 'offset'] as const;

/** `at`: of the element's feature in a part of the modulation. */
const place = 'let at = i / p.row * p.modulationRow + p.offset + i % p.features;';

const modulation = ([batch, tokens, features]: readonly number[], { shape }: Value, part: number) => ({
  row: tokens! * features!,
  features: features!,
  modulationRow: shape[1]! * features!,
  offset: part * features!,
  batch: batch!,
  tokens: tokens!,
});

const modulated: ElementKernel = {
  label: 'modulate',
  numbers,
  buffers: [
    ['x', 'read'],
    ['modulation', 'read'],
    ['y', 'write'],
  ],
  body: `${place}
y[i] = x[i] * (1.0 + modulation[at + p.features]) + modulation[at];`,
};

const modulatedBackward = (adds: boolean): ElementKernel => ({
  label: `modulate, backward${orAdds(adds)}`,
  numbers,
  buffers: [
    ['slope', 'read'],
    ['modulation', 'read'],
    ['dx', 'write'],
  ],
  body: `${place}
${assign('dx[i]', 'slope[i] * (1.0 + modulation[at + p.features])', adds)}`,
});

/** y = x·(1 + scale) + shift, with part `shiftPart` of the modulation as shift and the part after it as scale. */
export function modulate(tape: Tape, x: Value, steering: Value, shiftPart: number): Value {
  const count = sizeOf(x);
  const sizes = modulation(x.shape, steering, shiftPart);
  const { batch: outer, tokens, features, modulationRow: outerStride, offset } = sizes;
  const output = tape.value('modulated', x.shape);
  tape.forElements(modulated, count, sizes, [x.binding, steering.binding, output.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    const ofModulation = { binding: tape.partTarget(steering), adds: true };
    const sums = { outer, tokens, features, outerStride, values: slope, target: ofModulation };
    sumTokens(tape.recorder, { ...sums, offset });
    sumTokens(tape.recorder, { ...sums, offset: offset + features, factors: x.binding });
    const target = tape.target(x);
    if (target === null) return;
    tape.forElements(modulatedBackward(target.adds), count, sizes, [slope, steering.binding, target.binding]);
  });
  return output;
}

const gated = (adds: boolean): ElementKernel => ({
  label: `gate${orAdds(adds)}`,
  numbers,
  buffers: [
    ['branch', 'read'],
    ['modulation', 'read'],
    ['y', 'write'],
  ],
  body: `${place}
${assign('y[i]', 'modulation[at] * branch[i]', adds)}`,
});

const gatedAddition: ElementKernel = {
  label: 'gated sum',
  numbers,
  buffers: [
    ['x', 'read'],
    ['branch', 'read'],
    ['modulation', 'read'],
    ['y', 'write'],
  ],
  body: `${place}
y[i] = x[i] + modulation[at] * branch[i];`,
};

/** y = x + gate·branch, with part `gatePart` of the modulation as gate. */
export function gatedSum(tape: Tape, x: Value, branch: Value, steering: Value, gatePart: number): Value {
  const count = sizeOf(x);
  const sizes = modulation(x.shape, steering, gatePart);
  const { batch: outer, tokens, features, modulationRow: outerStride, offset } = sizes;
  const output = tape.value('gated sum', x.shape);
  const { binding: gates } = steering;
  tape.forElements(gatedAddition, count, sizes, [x.binding, branch.binding, gates, output.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    passOn(tape, slope, x);
    const ofModulation = { binding: tape.partTarget(steering), adds: true };
    const factors = branch.binding;
    sumTokens(tape.recorder, {
      outer,
      tokens,
      features,
      outerStride,
      offset,
      values: slope,
      factors,
      target: ofModulation,
    });
    const target = tape.target(branch);
    if (target === null) return;
    tape.forElements(gated(target.adds), count, sizes, [slope, gates, target.binding]);
  });
  return output;
}
