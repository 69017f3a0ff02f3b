// The sum of many numbers, or of their squares, in two rounds.
import { type Kernel, parameterStruct } from '../kernels/kernel';
import type { Binding } from '../recorder';
import { builtins, declareBuffers } from './kernels';
import type { Tape } from './tape';

const width = 64;
const mostWorkgroups = 256;

function totalKernel(ofSquares: boolean): Kernel {
  const code = (): string => `${parameterStruct(['count', 'stride'])}${declareBuffers([
    ['values', 'read'],
    ['totals', 'write'],
  ])}
var<workgroup> partial: array<f32, ${width}>;

@compute @workgroup_size(${width})
fn main(${builtins}) {
var sum = 0.0;
for (var i = group.x * ${width}u + invocation; i < p.count; i += p.stride) {
  let value = values[i];
  sum += ${ofSquares ? 'value * value' : 'value'};
}
partial[invocation] = sum;
workgroupBarrier();
for (var half = ${width / 2}u; half > 0u; half >>= 1u) {
  if (invocation < half) { partial[invocation] += partial[invocation + half]; }
  workgroupBarrier();
}
if (invocation == 0u) { totals[group.x] = partial[0]; }
}`;
  return { label: `total${ofSquares ? ' of squares' : ''}`, code };
}

export function recordTotal(
  tape: Tape,
  values: Binding,
  count: number,
  total: Binding,
  ofSquares: boolean,
): void {
  const workgroups = Math.min(mostWorkgroups, Math.ceil(count / width));
  const partial = { buffer: tape.take('partial totals', 4 * mostWorkgroups) };
  const round = (squares: boolean, from: Binding, many: number, groups: number, to: Binding): void =>
    tape.recorder.dispatch(totalKernel(squares), [many, groups * width], [], [from, to], [groups, 1, 1]);
  round(ofSquares, values, count, workgroups, partial);
  round(false, partial, workgroups, 1, total);
}
