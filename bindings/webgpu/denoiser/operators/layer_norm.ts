// y = (x - mean(x)) / √(variance(x) + 1e-6) of each row, as src/operators/layer_norm. Sixteen invocations take a row.
import { type Kernel, parameterStruct } from '../../kernels/kernel';
import type { Binding } from '../../recorder';
import {
  assign,
  builtins,
  type BufferDeclaration,
  declareBuffers,
  grid,
  gridIndex,
  orAdds,
} from '../kernels';
import { sizeOf, type Tape, type Value } from '../tape';

const lanes = 16;
const rowsOfWorkgroup = 4;
const epsilon = 1e-6;

/** `body` may call `rowSum(value, invocation)`, which all invocations do together. */
function rowKernel(label: string, buffers: readonly BufferDeclaration[], body: string): Kernel {
  const code = (): string => `${parameterStruct(['rows', 'features'])}${declareBuffers(buffers)}
var<workgroup> partial: array<f32, ${lanes * rowsOfWorkgroup}>;

fn rowSum(value: f32, invocation: u32) -> f32 {
  workgroupBarrier();
  partial[invocation] = value;
  workgroupBarrier();
  let first = invocation / ${lanes}u * ${lanes}u;
  var sum = 0.0;
  for (var lane = 0u; lane < ${lanes}u; lane++) { sum += partial[first + lane]; }
  return sum;
}

@compute @workgroup_size(${lanes * rowsOfWorkgroup})
fn main(${builtins}) {
let asked = ${gridIndex} * ${rowsOfWorkgroup}u + invocation / ${lanes}u;
let lane = invocation % ${lanes}u;
// Beyond the last row nothing is written; but all invocations meet at the barriers.
let isRow = asked < p.rows;
let row = min(asked, p.rows - 1u);
let first = row * p.features;
let features = f32(p.features);
${body}
}`;
  return { label, code };
}

const forFeatures = (body: string): string =>
  `for (var f = lane; f < p.features; f += ${lanes}u) { let at = first + f; ${body} }`;

const forward = rowKernel(
  'layer norm',
  [
    ['x', 'read'],
    ['y', 'write'],
    ['inverseDeviation', 'write'],
  ],
  `var sum = 0.0;
${forFeatures('sum += x[at];')}
let mean = rowSum(sum, invocation) / features;
var squares = 0.0;
${forFeatures('squares += (x[at] - mean) * (x[at] - mean);')}
let inverse = inverseSqrt(rowSum(squares, invocation) / features + ${epsilon});
if (isRow) {
  ${forFeatures('y[at] = (x[at] - mean) * inverse;')}
  if (lane == 0u) { inverseDeviation[row] = inverse; }
}`,
);

/** dx = (dy - mean(dy) - y·mean(dy·y)) / deviation */
const backward = (adds: boolean): Kernel =>
  rowKernel(
    `layer norm, backward${orAdds(adds)}`,
    [
      ['y', 'read'],
      ['inverseDeviation', 'read'],
      ['slope', 'read'],
      ['dx', 'write'],
    ],
    `var sum = 0.0;
var products = 0.0;
${forFeatures('sum += slope[at]; products += slope[at] * y[at];')}
let mean = rowSum(sum, invocation) / features;
let along = rowSum(products, invocation) / features;
if (isRow) {
  ${forFeatures(assign('dx[at]', '(slope[at] - mean - y[at] * along) * inverseDeviation[row]', adds))}
}`,
  );

/** x: [batch, tokens, features]. */
export function layerNorm(tape: Tape, x: Value): Value {
  const features = x.shape.at(-1)!;
  const rows = sizeOf(x) / features;
  const output = tape.value('layer norm', x.shape);
  const deviations = tape.input('inverse deviations', [rows]);
  const record = (kernel: Kernel, bindings: readonly Binding[]): void =>
    tape.recorder.dispatch(kernel, [rows, features], [], bindings, grid(rows, rowsOfWorkgroup));
  record(forward, [x.binding, output.binding, deviations.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(output);
    const target = tape.target(x);
    if (target === null) return;
    record(backward(target.adds), [output.binding, deviations.binding, slope, target.binding]);
  });
  return output;
}
