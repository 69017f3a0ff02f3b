// Mutations of ONNX files, and what fromOnnx must do with any bytes.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { assertError } from './errors.mjs';
import { graphOf } from './graphs.mjs';
import { DiffusionCrossAttention, fromOnnx, memoryInUse, toOnnx, WeightsError } from './onnx_package.mjs';
import { attentionStyles, makeModel } from './onnx_torch.mjs';

/** Limit of the time that reading a small file may take. Busy machines need more than a hundredth of it. */
const maxMilliseconds = 5000;

/** Asserts that a file is read or refused with WeightsError, in time, and that no memory stays in use. */
export function checkFile(bytes) {
  const before = memoryInUse();
  const start = performance.now();
  try {
    for (const { layer, mask } of fromOnnx(bytes)) {
      layer.dispose();
      mask?.dispose();
    }
  } catch (error) {
    assertError(error, WeightsError);
    assert.ok(error.message.length < 2000, `a message of ${error.message.length} characters`);
  }
  assert.equal(memoryInUse(), before, 'memory stays in use');
  const milliseconds = performance.now() - start;
  assert.ok(milliseconds < maxMilliseconds, `took ${milliseconds} ms`);
}

/** Exported layers with biases, norms and masks, as operators and as one operator. */
export function exportedLayers() {
  const norms = ['layer_norm', 'rms_norm'];
  return norms.flatMap((queryKeyNorm, seed) => {
    const options = { seed, headDim: 3, bias: true, queryKeyNorm };
    const layer = new DiffusionCrossAttention(6, 4, 2, 8, options);
    const { output, inputs } = graphOf(layer, { mask: true });
    const forms = ['operators', 'com.microsoft', 'ai.onnx'];
    const files = forms.map((attention) => toOnnx(output, inputs, { attention }));
    layer.dispose();
    return files;
  });
}

/** Small models of all exporters' forms. */
const seeds = () => [
  ...Object.keys(attentionStyles).flatMap((attention) =>
    ['static', 'dynamic'].map(
      (shapes) => makeModel({ attention, shapes, queryDim: 6, contextDim: 4, heads: 2 }).file,
    ),
  ),
  ...exportedLayers(),
];

/** One change of a file, at positions relative to its length. */
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const edit = fc.oneof(
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('byte'), at: position, value: fc.nat(255) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('bit'), at: position, value: fc.nat(7) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('cut'), at: position, length: fc.nat(40) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('repeat'), at: position, length: fc.nat(200) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('insert'),
      at: position,
      bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('move'), at: position, to: position }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end'), at: position }) },
);

const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

function apply(bytes, { kind, at, to, value, length, bytes: inserted }) {
  const index = Math.floor(at * bytes.length);
  const [head, tail] = [bytes.subarray(0, index), bytes.subarray(index)];
  switch (kind) {
    case 'byte':
      return bytes.length === 0 ? bytes : join(head, [value], tail.subarray(1));
    case 'bit':
      return bytes.length === 0 ? bytes : join(head, [tail[0] ^ (1 << value)], tail.subarray(1));
    case 'cut':
      return join(head, tail.subarray(length));
    case 'repeat':
      return join(head, tail.subarray(0, length), tail);
    case 'insert':
      return join(head, inserted, tail);
    case 'move': {
      const target = Math.floor(to * bytes.length);
      return join(head, bytes.subarray(target, target + 30), tail.subarray(30));
    }
    default:
      return head;
  }
}

/** Mutated files, and arbitrary bytes. */
export function files() {
  const models = seeds();
  const mutated = fc
    .tuple(fc.nat(models.length - 1), fc.array(edit, { minLength: 1, maxLength: 6 }))
    .map(([model, edits]) => edits.reduce(apply, models[model]));
  return fc.oneof(
    { weight: 9, arbitrary: mutated },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300, size: 'max' }) },
  );
}
