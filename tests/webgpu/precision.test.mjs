// Tests of float16 weights: the error is at most 5e-3, and at most 1e-4 against exact arithmetic with weights
// rounded to float16, so that only the weights are rounded.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { layerCase, runs } from '../support/arbitraries.mjs';
import { joinParameters, makeCase, withCase } from '../support/cases.mjs';
import { assertClose, assertFinite, maximumMagnitude } from '../support/compare.mjs';
import { gradientRelativeBound } from '../support/error_bounds.mjs';
import { roundedToHalf } from '../support/halves.mjs';
import { memoryInUse } from '../support/package.mjs';
import { normalArray } from '../../support/random.mjs';
import { forward } from '../support/reference.mjs';
import { backward, gradientMagnitudes } from '../support/reference_backward.mjs';
import { assertNoUncapturedErrors, counts, requestTestDevice } from '../support/webgpu.mjs';
import { failPipelines } from '../support/webgpu_faults.mjs';
import { Device, forwardOnGpu, strategies, trainOnGpu, withGpuLayer } from '../support/webgpu_layer.mjs';

const strategy = strategies['registers, parts'];
const device = new Device(await requestTestDevice());
const precision = 'float16';

/**
 * The problem with the weights in GPU memory: float16 if the length of a row and headDim are multiples of 4.
 */
function withRoundedWeights(problem) {
  const { parameters, queryDim, contextDim, numHeads } = problem;
  const isRounded = (inFeatures) => inFeatures % 4 === 0 && (queryDim / numHeads) % 4 === 0;
  const round = (values, inFeatures) => (isRounded(inFeatures) ? values.map(roundedToHalf) : values);
  return {
    ...problem,
    parameters: {
      query: round(parameters.query, queryDim),
      key: round(parameters.key, contextDim),
      value: round(parameters.value, contextDim),
      output: round(parameters.output, queryDim),
      bias: parameters.bias,
    },
  };
}

const assertNear = (actual, expected, tolerance, name) =>
  assertClose(actual, expected, tolerance * maximumMagnitude(expected), name);

const hasMultipleOf4 = ({ queryDim, numHeads }) => (queryDim / numHeads) % 4 === 0;

/** Runs check(made, gpuLayer, gpuCall, description) for random shapes. */
const atRandomShapes = (maxCost, numRuns, check) =>
  fc.assert(
    fc.asyncProperty(layerCase('float32', { maxCost }).filter(hasMultipleOf4), (description) =>
      withCase(description, (made) =>
        withGpuLayer(
          device,
          strategy,
          made,
          (gpuLayer, gpuCall) => check(made, gpuLayer, gpuCall, description),
          { precision },
        ),
      ),
    ),
    runs(numRuns),
  );

test('random shapes: errors of output', () =>
  atRandomShapes(60_000, 25, async ({ problem, toTokens }, gpuLayer, gpuCall) => {
    const output = toTokens(await forwardOnGpu(gpuLayer, gpuCall));
    assertNear(output, forward(problem), 5e-3, 'output, exact weights');
    assertNear(output, forward(withRoundedWeights(problem)), 1e-4, 'output, rounded weights');
    // The second call uses the packed weights of the first.
    assertNear(toTokens(await forwardOnGpu(gpuLayer, gpuCall)), output, 1e-6, 'output of the second call');
  }));

test('random shapes: errors of gradients', () =>
  atRandomShapes(30_000, 15, async ({ input, context, problem, toTokens }, gpuLayer, gpuCall, { seed }) => {
    const outputGradient = normalArray(input.size, seed + 9, { dtype: 'float32' });
    const actual = await trainOnGpu(gpuLayer, gpuCall, outputGradient);
    const rounded = withRoundedWeights(problem);
    const rows = toTokens(outputGradient);
    const expected = backward(rounded, rows);
    // If all terms cancel, as in the gradient of softmax with a single key, only rounding errors remain.
    const magnitudes = gradientMagnitudes(rounded, rows);
    const relative = gradientRelativeBound(rounded, 'float32');
    const check = (values, reference, terms, name) => {
      const allowed = Math.max(1e-4 * maximumMagnitude(reference), relative * maximumMagnitude(terms));
      assertClose(values, reference, allowed, name);
    };
    check(toTokens(actual.input), expected.input, magnitudes.input, 'input gradient');
    if (context !== null) check(actual.context, expected.context, magnitudes.context, 'context gradient');
    check(actual.parameters, joinParameters(expected), joinParameters(magnitudes), 'parameter gradients');
  }));

const small = { height: 6, width: 6, queryDim: 32, contextDim: 24, numHeads: 4, length: 9 };

test('the output of inputs up to ±1e4 is finite', async () => {
  for (const magnitude of [1e2, 1e4]) {
    await withCase({ ...small, magnitude }, (made) =>
      withGpuLayer(
        device,
        strategy,
        made,
        async (gpuLayer, gpuCall) => assertFinite(await forwardOnGpu(gpuLayer, gpuCall), 'output'),
        { precision },
      ),
    );
  }
});

test('a weight outside the float16 range stays float32', async () => {
  const made = makeCase(small);
  try {
    const values = made.layer.getParameters();
    values[0] = 1e6;
    made.layer.setParameters(values);
    made.problem.parameters.query[0] = 1e6;
    await withGpuLayer(
      device,
      strategy,
      made,
      async (gpuLayer, gpuCall) => {
        const output = await forwardOnGpu(gpuLayer, gpuCall);
        assertFinite(output, 'output');
        assertNear(made.toTokens(output), forward(made.problem), 5e-3, 'output');
      },
      { precision },
    );
  } finally {
    made.dispose();
  }
});

test('after a failed first call the weights are packed correctly', async () => {
  // This device has no compiled shaders yet.
  const fresh = new Device(await requestTestDevice());
  await withCase({ ...small, seed: 5 }, (made) =>
    withGpuLayer(
      fresh,
      strategy,
      made,
      async (gpuLayer, gpuCall) => {
        const end = failPipelines(fresh.gpu, (label) => label.startsWith('softmax'));
        await assert.rejects(forwardOnGpu(gpuLayer, gpuCall), /softmax.*compile/);
        end();
        const output = made.toTokens(await forwardOnGpu(gpuLayer, gpuCall));
        assertNear(output, forward(withRoundedWeights(made.problem)), 1e-4, 'output after a failed call');
      },
      { precision },
    ),
  );
  fresh.gpu.destroy();
});

after(() => {
  assert.equal(memoryInUse(), 0);
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});
