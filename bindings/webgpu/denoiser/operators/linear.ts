// y = x·Wᵀ + b, as src/operators/linear: products with the layer's own kernel.
import { type Matrix, transposed } from '../../matrix';
import type { Binding } from '../../recorder';
import { sumTokens } from '../../token_sums';
import { sizeOf, type Tape, type Value } from '../tape';

/** Rows of so many features. */
export const rowsOf = (binding: Binding, features: number): Matrix => ({
  binding,
  offset: 0,
  rowStride: features,
  columnStride: 1,
  outer: 0,
  inner: 0,
});

/** Fewer tokens than this are no work for a workgroup of their own. */
const tokensWorthAPart = 32;

/**
 * d(weight) = Σ leftᵀ·right over all tokens, [leftFeatures, rightFeatures]. A weight is small and its tokens are many: batch
 * rows are summed up side by side, then their sums.
 */
export function addWeightGradient(
  tape: Tape,
  weight: Value,
  left: Binding,
  right: Binding,
  { batch, tokens }: { batch: number; tokens: number },
): void {
  const target = tape.target(weight);
  if (target === null) return;
  const rightFeatures = weight.shape.at(-1)!;
  const size = sizeOf(weight);
  const leftFeatures = size / rightFeatures;
  const inParts = tokens >= tokensWorthAPart && batch > 1;
  const depth = inParts ? tokens : batch * tokens;
  const parts: Binding = {
    buffer: inParts ? tape.take('weight gradients', 4 * batch * size) : target.binding.buffer,
  };
  tape.multiply({
    a: { ...transposed(rowsOf(left, leftFeatures)), outer: depth * leftFeatures },
    b: { ...rowsOf(right, rightFeatures), outer: depth * rightFeatures },
    c: { ...rowsOf(inParts ? parts : target.binding, rightFeatures), outer: size },
    rows: leftFeatures,
    columns: rightFeatures,
    depth,
    outer: inParts ? batch : 1,
    inner: 1,
    accumulates: !inParts && target.adds,
  });
  if (inParts) sumTokens(tape.recorder, { outer: 1, tokens: batch, features: size, values: parts, target });
}

/** x: [batch, tokens, inFeatures]; weight: [outFeatures, inFeatures]; bias: [outFeatures]. */
export function linear(tape: Tape, x: Value, weight: Value, bias: Value): Value {
  const [batch, tokens, inFeatures] = x.shape as [number, number, number];
  const outFeatures = weight.shape[0]!;
  const rows = batch * tokens;
  const output = tape.value('linear', [batch, tokens, outFeatures]);
  const sizes = { rows, outer: 1, inner: 1 };
  tape.multiply({
    ...sizes,
    a: rowsOf(x.binding, inFeatures),
    b: transposed(rowsOf(weight.binding, inFeatures)),
    c: rowsOf(output.binding, outFeatures),
    columns: outFeatures,
    depth: inFeatures,
    bias: { binding: bias.binding, along: 'columns' },
  });
  tape.onBackward(() => {
    const slope = tape.slope(output);
    addWeightGradient(tape, weight, slope, x.binding, { batch, tokens });
    const ofBias = tape.target(bias);
    if (ofBias !== null) {
      sumTokens(tape.recorder, {
        outer: 1,
        tokens: rows,
        features: outFeatures,
        values: slope,
        target: ofBias,
      });
    }
    const ofInput = tape.target(x);
    if (ofInput === null) return;
    tape.multiply({
      ...sizes,
      a: rowsOf(slope, outFeatures),
      b: rowsOf(weight.binding, inFeatures),
      c: rowsOf(ofInput.binding, inFeatures),
      columns: inFeatures,
      depth: outFeatures,
      accumulates: ofInput.adds,
    });
  });
  return output;
}
