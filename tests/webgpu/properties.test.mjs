// Compares the layer on the GPU with the reference at random shapes: all strategies, with and without
// subgroups.
//
// Tolerance: 1e-4 of the largest element. Rounding errors are far smaller: an element is the result of four
// sums in sequence, each of at most a few hundred products of float32 numbers (unit roundoff u = 6e-8). The
// rounding error of a sum of n terms is about √n·u in practice and n·u in the worst case, relative to the sum
// of the terms' magnitudes, here a few times the largest element: about 1e-5 in the worst case, 1e-6 as
// measured. 1e-4 also allows for the GPU's exp, for which WGSL permits an error of 3 + 2·|x| ULP (x down to
// -87 matters).
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { layerCase, runs } from '../support/arbitraries.mjs';
import { joinParameters, withCase } from '../support/cases.mjs';
import { assertFinite, maximumMagnitude, worstDifference } from '../support/compare.mjs';
import { gradientRelativeBound } from '../support/error_bounds.mjs';
import { memoryInUse } from '../support/package.mjs';
import { normalArray } from '../../support/random.mjs';
import { forward } from '../support/reference.mjs';
import { backward, gradientMagnitudes } from '../support/reference_backward.mjs';
import { assertNoUncapturedErrors, counts, requestTestDevice } from '../support/webgpu.mjs';
import { Device, forwardOnGpu, strategies, trainOnGpu, withGpuLayer } from '../support/webgpu_layer.mjs';
import { isFullRun } from '../support/full_run.mjs';

const tolerance = 1e-4;
const dtype = 'float32';
let worst = 0;

/**
 * Asserts that no element differs by more than the tolerance or `rounding`. `rounding` is the error that
 * remains if all terms cancel, as in the gradient of softmax with a single key.
 */
function assertNear(actual, expected, name, rounding = 0) {
  const { difference, index } = worstDifference(actual, expected);
  const largest = maximumMagnitude(expected);
  assert.ok(
    difference <= Math.max(tolerance * largest, rounding),
    `${name}: element ${index} is ${actual[index]}, expected ${expected[index]}; the largest is ${largest}`,
  );
  if (difference > rounding) worst = Math.max(worst, difference / largest);
}

const gradientFor = ({ input }, seed) => normalArray(input.size, seed + 9, { dtype });

// The tests' adapter needs a second to compile flash attention for each headDim, so it gets fewer runs.
// `npm run test:full` draws more shapes from the same distribution.
const share = isFullRun ? 1 : 0.25;
const allRuns = { 'registers, parts': Math.ceil(25 * share), 'workgroup, flash': Math.ceil(10 * share) };

for (const [name, strategy] of Object.entries(strategies)) {
  for (const subgroups of [true, false]) {
    const numRuns = allRuns[name];
    const device = new Device(await requestTestDevice({ subgroups }));
    const property = (arbitrary, work) =>
      fc.assert(
        fc.asyncProperty(arbitrary, (description) =>
          withCase(description, (made) =>
            withGpuLayer(device, strategy, made, (gpuLayer, gpuCall) =>
              work(made, gpuLayer, gpuCall, description),
            ),
          ),
        ),
        // Different seeds, so that the runs cover more shapes.
        {
          ...runs(Math.ceil(subgroups ? numRuns : numRuns / 2)),
          seed: 20261124 + name.length + Number(subgroups),
        },
      );

    describe(`random shapes: ${name}, ${subgroups ? 'with' : 'without'} subgroups`, () => {
      test('forward', () =>
        property(layerCase(dtype, { maxCost: 100_000 }), async ({ problem, toTokens }, gpuLayer, gpuCall) => {
          const output = await forwardOnGpu(gpuLayer, gpuCall);
          assertNear(toTokens(output), forward(problem), 'output');
        }));

      test('backward: gradients of input, context and all parameters', () =>
        property(layerCase(dtype, { maxCost: 50_000 }), async (made, gpuLayer, gpuCall, { seed }) => {
          const { problem, toTokens } = made;
          const outputGradient = gradientFor(made, seed);
          const actual = await trainOnGpu(gpuLayer, gpuCall, outputGradient);
          const expected = backward(problem, toTokens(outputGradient));
          assertNear(toTokens(actual.output), forward(problem), 'output of a training forward');
          const magnitudes = gradientMagnitudes(problem, toTokens(outputGradient));
          const relative = gradientRelativeBound(problem, dtype);
          const check = (values, reference, terms, gradientName) =>
            assertNear(values, reference, gradientName, relative * maximumMagnitude(terms));
          check(toTokens(actual.input), expected.input, magnitudes.input, 'input gradient');
          if (made.context === null) assert.equal(actual.context, null);
          else check(actual.context, expected.context, magnitudes.context, 'context gradient');
          const parameters = joinParameters(expected);
          check(actual.parameters, parameters, joinParameters(magnitudes), 'parameter gradients');
        }));

      test('results are finite for inputs up to ±1e4', () =>
        property(
          layerCase(dtype, { maxCost: 30_000, magnitude: fc.constantFrom(1e-30, 1e-4, 10, 1e2, 1e3, 1e4) }),
          async (made, gpuLayer, gpuCall, { seed }) => {
            assertFinite(await forwardOnGpu(gpuLayer, gpuCall), 'output');
            const actual = await trainOnGpu(gpuLayer, gpuCall, gradientFor(made, seed));
            for (const [resultName, values] of Object.entries(actual)) {
              if (values !== null) assertFinite(values, resultName);
            }
          },
        ));

      after(() => device.gpu.destroy());
    });
  }
}

test('no memory is in use afterwards, and no error was reported', () => {
  console.log(`  the largest error: ${worst.toExponential(1)} of the largest element`);
  assert.equal(memoryInUse(), 0);
  assert.equal(counts.alive, 0, 'buffers are alive');
  assert.ok(counts.created > 1000);
  assertNoUncapturedErrors();
});
