// Weights in halves: within 5e-3 of the exact result, and within 1e-4 of the very arithmetic – weights rounded to halves,
// everything else exact –, so that nothing but the weights' rounding is lost.
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

/** The problem with weights as they are in GPU memory: in halves where a row, and a head's rows, have a multiple of four. */
function withHalves(problem) {
  const { parameters, queryDim, contextDim, numHeads } = problem;
  const areFours = (inFeatures) => inFeatures % 4 === 0 && (queryDim / numHeads) % 4 === 0;
  const round = (values, inFeatures) => (areFours(inFeatures) ? values.map(roundedToHalf) : values);
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

const near = (actual, expected, tolerance, what) =>
  assertClose(actual, expected, tolerance * maximumMagnitude(expected), what);

const fours = ({ queryDim, numHeads }) => (queryDim / numHeads) % 4 === 0;

/** check(made, gpuLayer, gpuCall, description) at random shapes. */
const atRandomShapes = (most, numRuns, check) =>
  fc.assert(
    fc.asyncProperty(layerCase('float32', { most }).filter(fours), (description) =>
      withCase(description, (made) =>
        withGpuLayer(device, strategy, made, (gpuLayer, given) => check(made, gpuLayer, given, description), {
          precision,
        }),
      ),
    ),
    runs(numRuns),
  );

test('random shapes: within 5e-3, and what rounding the weights gives', () =>
  atRandomShapes(60_000, 25, async ({ problem, toTokens }, gpuLayer, given) => {
    const output = toTokens(await forwardOnGpu(gpuLayer, given));
    near(output, forward(problem), 5e-3, 'beside exact weights');
    near(output, forward(withHalves(problem)), 1e-4, 'beside rounded weights');
    // Packed once, used again.
    near(toTokens(await forwardOnGpu(gpuLayer, given)), output, 1e-6, 'the second time');
  }));

test('gradients: what rounding the weights gives', () =>
  atRandomShapes(30_000, 15, async ({ input, context, problem, toTokens }, gpuLayer, given, { seed }) => {
    const outputGradient = normalArray(input.size, seed + 9, { dtype: 'float32' });
    const found = await trainOnGpu(gpuLayer, given, outputGradient);
    const rounded = withHalves(problem);
    const rows = toTokens(outputGradient);
    const expected = backward(rounded, rows);
    // Where all terms cancel, as they do in softmax's gradient of a single key, rounding is what is left.
    const magnitudes = gradientMagnitudes(rounded, rows);
    const relative = gradientRelativeBound(rounded, 'float32');
    const nearEach = (actual, wanted, terms, what) => {
      const allowed = Math.max(1e-4 * maximumMagnitude(wanted), relative * maximumMagnitude(terms));
      assertClose(actual, wanted, allowed, what);
    };
    nearEach(toTokens(found.input), expected.input, magnitudes.input, 'input gradient');
    if (context !== null) nearEach(found.context, expected.context, magnitudes.context, 'context gradient');
    const [wanted, terms] = [joinParameters(expected), joinParameters(magnitudes)];
    nearEach(found.parameters, wanted, terms, 'parameter gradients');
  }));

const small = { height: 6, width: 6, queryDim: 32, contextDim: 24, numHeads: 4, length: 9 };

test('inputs up to ±1e4: finite', async () => {
  for (const magnitude of [1e2, 1e4]) {
    await withCase({ ...small, magnitude }, (made) =>
      withGpuLayer(
        device,
        strategy,
        made,
        async (gpuLayer, given) => assertFinite(await forwardOnGpu(gpuLayer, given), 'output'),
        { precision },
      ),
    );
  }
});

test('a weight that no half holds stays as it is', async () => {
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
      async (gpuLayer, given) => {
        const output = await forwardOnGpu(gpuLayer, given);
        assertFinite(output, 'output');
        near(made.toTokens(output), forward(made.problem), 5e-3, 'output');
      },
      { precision },
    );
  } finally {
    made.dispose();
  }
});

test('a first call that fails leaves no weights that are not packed', async () => {
  // One that has compiled nothing yet.
  const fresh = new Device(await requestTestDevice());
  await withCase({ ...small, seed: 5 }, (made) =>
    withGpuLayer(
      fresh,
      strategy,
      made,
      async (gpuLayer, given) => {
        const end = failPipelines(fresh.gpu, (label) => label.startsWith('softmax'));
        await assert.rejects(forwardOnGpu(gpuLayer, given), /does not compile/);
        end();
        const output = made.toTokens(await forwardOnGpu(gpuLayer, given));
        near(output, forward(withHalves(made.problem)), 1e-4, 'after a call that failed');
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
