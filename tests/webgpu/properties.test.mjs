// The layer on the graphics card against the reference at random shapes: every strategy, with and without subgroups.
//
// Tolerance: 1e-4 of the largest element. Rounding gives far less: an element is a sum of at most a few hundred products of
// float32 numbers (unit roundoff u = 6e-8), in four sums one after another, and rounding errors of a sum of n terms grow like
// √n·u in practice and n·u at the worst, relative to the sum of the terms' magnitudes, here a few times the largest element:
// about 1e-5 at the worst, 1e-6 as seen. 1e-4 leaves room for a card's exp, which WGSL allows 3 + 2·|x| units of rounding (x
// down to -87 matters).
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

const tolerance = 1e-4;
const dtype = 'float32';
let worst = 0;

/** `rounding`: what rounding may leave where all terms cancel, as they do in softmax's gradient of a single key. */
function assertNear(actual, expected, what, rounding = 0) {
  const { difference, index } = worstDifference(actual, expected);
  const largest = maximumMagnitude(expected);
  assert.ok(
    difference <= Math.max(tolerance * largest, rounding),
    `${what}: element ${index} is ${actual[index]}, expected ${expected[index]}; the largest is ${largest}`,
  );
  if (difference > rounding) worst = Math.max(worst, difference / largest);
}

const gradientFor = ({ input }, seed) => normalArray(input.size, seed + 9, { dtype });

// The adapter of the tests needs a second to compile each number of channels of flash attention: fewer runs of it.
// `npm run test:full` draws more of the same shapes.
const share = process.env.CROSS_ATTENTION_FULL ? 1 : 0.5;
const allRuns = { 'registers, parts': 25 * share, 'workgroup, flash': 10 * share };

for (const [name, strategy] of Object.entries(strategies)) {
  for (const subgroups of [true, false]) {
    const numRuns = allRuns[name];
    const device = new Device(await requestTestDevice({ subgroups }));
    const property = (arbitrary, work) =>
      fc.assert(
        fc.asyncProperty(arbitrary, (description) =>
          withCase(description, (made) =>
            withGpuLayer(device, strategy, made, (gpuLayer, given) =>
              work(made, gpuLayer, given, description),
            ),
          ),
        ),
        // Seeds that differ, so that all together see more.
        { ...runs(Math.ceil(numRuns)), seed: 20261124 + name.length + Number(subgroups) },
      );

    describe(`random shapes: ${name}, ${subgroups ? 'with' : 'without'} subgroups`, () => {
      test('forward', () =>
        property(layerCase(dtype, { most: 100_000 }), async ({ problem, toTokens }, gpuLayer, given) => {
          const output = await forwardOnGpu(gpuLayer, given);
          assertNear(toTokens(output), forward(problem), 'output');
        }));

      test('backward: input, context and all parameters', () =>
        property(layerCase(dtype, { most: 50_000 }), async (made, gpuLayer, given, { seed }) => {
          const { problem, toTokens } = made;
          const outputGradient = gradientFor(made, seed);
          const found = await trainOnGpu(gpuLayer, given, outputGradient);
          const expected = backward(problem, toTokens(outputGradient));
          assertNear(toTokens(found.output), forward(problem), 'output of a training forward');
          const magnitudes = gradientMagnitudes(problem, toTokens(outputGradient));
          const relative = gradientRelativeBound(problem, dtype);
          const near = (actual, wanted, terms, what) =>
            assertNear(actual, wanted, what, relative * maximumMagnitude(terms));
          near(toTokens(found.input), expected.input, magnitudes.input, 'input gradient');
          if (made.context === null) assert.equal(found.context, null);
          else near(found.context, expected.context, magnitudes.context, 'context gradient');
          const parameters = joinParameters(expected);
          near(found.parameters, parameters, joinParameters(magnitudes), 'parameter gradients');
        }));

      test('inputs up to ±1e4: finite everywhere', () =>
        property(
          layerCase(dtype, { most: 30_000, magnitude: fc.constantFrom(1e-30, 1e-4, 10, 1e2, 1e3, 1e4) }),
          async (made, gpuLayer, given, { seed }) => {
            assertFinite(await forwardOnGpu(gpuLayer, given), 'output');
            const found = await trainOnGpu(gpuLayer, given, gradientFor(made, seed));
            for (const [what, values] of Object.entries(found)) {
              if (values !== null) assertFinite(values, what);
            }
          },
        ));

      after(() => device.gpu.destroy());
    });
  }
}

test('afterwards no memory is in use, here or there, and no error was told', () => {
  console.log(`  the largest error: ${worst.toExponential(1)} of the largest element`);
  assert.equal(memoryInUse(), 0);
  assert.equal(counts.alive, 0, 'buffers that are left');
  assert.ok(counts.created > 1000);
  assertNoUncapturedErrors();
});
