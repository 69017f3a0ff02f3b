// Compares the layer with ONNX Runtime, which runs the same layer as a graph of plain operators.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import ort from 'onnxruntime-node';
import { additiveMask, keyMask, withCase } from '../support/cases.mjs';
import { assertClose } from '../support/compare.mjs';
import { onnxLayer } from '../../support/onnx_layer.mjs';
import { shapeNamed } from '../../support/shapes.mjs';

/** Both compute in float32 with an error of at most 2e-6·√C each, so they may differ by twice that. */
const allowed = (queryDim) => 4e-6 * Math.sqrt(queryDim);

async function runOnnx({ input, context, problem, mask }) {
  const parameters = Object.fromEntries(
    Object.entries(problem.parameters).map(([name, values]) => [name, new Float32Array(values)]),
  );
  const [batch, queryDim, height, width] = input.shape;
  const { contextDim, length, numHeads, scale } = problem;
  const description = { batch, queryDim, contextDim, height, width, length, numHeads, parameters, scale };
  const model = onnxLayer({ ...description, maskShape: mask?.dims ?? null });
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const tensorOf = (tensor) => new ort.Tensor('float32', tensor.data(), tensor.shape);
    const feeds = { input: tensorOf(input), context: tensorOf(context), ...(mask === null ? {} : { mask }) };
    const { output } = await session.run(feeds);
    return output.data;
  } finally {
    await session.release();
  }
}

/** Returns the mask in additive form, [B | 1, heads | 1, N | 1, L]. */
function toOnnxMask(mask) {
  if (mask === null) return null;
  if (mask.kind === 'additive') return new ort.Tensor('float32', Float32Array.from(mask.values), mask.shape);
  const [rows, length] = mask.shape;
  const values = Float32Array.from(mask.values, (bit) => (bit ? 0 : -Infinity));
  return new ort.Tensor('float32', values, [rows, 1, 1, length]);
}

// Fewer tokens than in the standard shapes, but several blocks of tokens (see planForward).
const cases = [
  ['tiny', {}],
  ['sd15-64', { height: 24, width: 20 }],
  ['sd15-32', { height: 27, width: 26 }],
  ['sd15-16', {}],
  ['sdxl-32', { height: 16, width: 13 }],
  ['sd15-16', { mask: keyMask(2, 77, 1) }],
  ['sd15-32', { height: 27, width: 26, batch: 1, mask: keyMask(1, 77, 2) }],
  ['sd15-16', { mask: additiveMask([2, 8, 256, 77], 3) }],
  ['tiny', { mask: additiveMask([1, 1, 1, 16], 4) }],
];

describe('ONNX Runtime returns the same outputs', () => {
  for (const [name, extra] of cases) {
    const mask = extra.mask ?? null;
    const title = mask === null ? name : `${name} with ${mask.kind} mask [${mask.shape}]`;
    test(title, (testContext) =>
      withCase(
        { ...shapeNamed(name), ...extra },
        async ({ layer, input, context, options, problem }, own) => {
          const expected = await runOnnx({ input, context, problem, mask: toOnnxMask(mask) });
          const output = own(layer.forwardWithContext(input, context, options)).data();
          assert.ok(
            expected.some((value) => Math.abs(value) > 0.5),
            'expected outputs of order 1',
          );
          const worst = assertClose(output, expected, allowed(problem.queryDim), title);
          testContext.diagnostic(
            `${title}: largest difference ${worst.toExponential(1)}, ` +
              `allowed ${allowed(problem.queryDim).toExponential(1)}`,
          );
        },
      ),
    );
  }
});
