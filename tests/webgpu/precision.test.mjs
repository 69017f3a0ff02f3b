// Weights in halves: within 5e-3 of the exact result, and within 1e-4 of the very arithmetic – weights rounded to halves,
// everything else exact –, so that nothing but the weights' rounding is lost.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { layerCase, runs } from '../support/arbitraries.mjs';
import { makeCase, withCase } from '../support/cases.mjs';
import { assertClose, assertFinite, maximumMagnitude } from '../support/compare.mjs';
import { roundedToHalf } from '../support/halves.mjs';
import { memoryInUse } from '../support/package.mjs';
import { forward } from '../support/reference.mjs';
import { assertNoUncapturedErrors, counts, requestTestDevice } from '../support/webgpu.mjs';
import { failPipelines } from '../support/webgpu_faults.mjs';
import { Device, forwardOnGpu, strategies, withGpuLayer } from '../support/webgpu_layer.mjs';

const strategy = strategies['registers, parts'];
const device = new Device(await requestTestDevice());
const precision = 'float16';

/** The problem with weights as they are in GPU memory: in halves where a row has a multiple of four. */
function withHalves(problem) {
  const { parameters, queryDim, contextDim } = problem;
  const round = (values, inFeatures) => (inFeatures % 4 === 0 ? values.map(roundedToHalf) : values);
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

const fours = (description) => description.queryDim % 4 === 0 || description.contextDim % 4 === 0;

test('random shapes: within 5e-3, and what rounding the weights gives', () =>
  fc.assert(
    fc.asyncProperty(layerCase('float32', { most: 60_000 }).filter(fours), (description) =>
      withCase(description, (made) =>
        withGpuLayer(
          device,
          strategy,
          made,
          async (gpuLayer, given) => {
            const { problem, toTokens } = made;
            const output = toTokens(await forwardOnGpu(gpuLayer, given));
            near(output, forward(problem), 5e-3, 'beside exact weights');
            near(output, forward(withHalves(problem)), 1e-4, 'beside rounded weights');
            // Packed once, used again.
            near(toTokens(await forwardOnGpu(gpuLayer, given)), output, 1e-6, 'the second time');
          },
          { precision },
        ),
      ),
    ),
    runs(25),
  ));

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
