// Pixels [batch, size², features] ↔ patches [batch, (size / side)², side² · features], as src/denoiser/patches.
import { assign, type ElementKernel, orAdds } from '../kernels';
import { sizeOf, type Tape, type Value } from '../tape';

/** `i` is a place among patches; `pixel` the one among pixels. */
const pixelOf = `let feature = i % p.features;
let inPatch = i / p.features % (p.side * p.side);
let token = i / (p.features * p.side * p.side);
let across = p.size / p.side;
let t = token % (across * across);
let y = t / across * p.side + inPatch / p.side;
let x = t % across * p.side + inPatch % p.side;
let pixel = ((token / (across * across) * p.size + y) * p.size + x) * p.features + feature;`;

const numbers = ['size', 'side', 'features'] as const;
const buffers = [
  ['given', 'read'],
  ['result', 'write'],
] as const;

const move = (toPatches: boolean, adds: boolean): ElementKernel => ({
  label: `${toPatches ? 'to' : 'from'} patches${orAdds(adds)}`,
  numbers,
  buffers,
  body: `${pixelOf}
${toPatches ? assign('result[i]', 'given[pixel]', adds) : assign('result[pixel]', 'given[i]', adds)}`,
});

type Sizes = Record<(typeof numbers)[number], number>;

function moved(tape: Tape, given: Value, shape: readonly number[], sizes: Sizes, isThere: boolean): Value {
  const output = tape.value('patches', shape);
  const count = sizeOf(given);
  tape.forElements(move(isThere, false), count, sizes, [given.binding, output.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    const target = tape.target(given);
    if (target === null) return;
    tape.forElements(move(!isThere, target.adds), count, sizes, [slope, target.binding]);
  });
  return output;
}

export function toPatches(tape: Tape, pixels: Value, side: number): Value {
  const [batch, count, features] = pixels.shape as [number, number, number];
  const shape = [batch, count / side ** 2, side ** 2 * features];
  return moved(tape, pixels, shape, { size: Math.sqrt(count), side, features }, true);
}

export function fromPatches(tape: Tape, patches: Value, side: number): Value {
  const [batch, count, wide] = patches.shape as [number, number, number];
  const features = wide / side ** 2;
  const shape = [batch, count * side ** 2, features];
  return moved(tape, patches, shape, { size: Math.sqrt(count) * side, side, features }, false);
}
