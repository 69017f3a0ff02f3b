// Tests of a context prepared for several runs, plain and folded, at random shapes.
// Tolerance as in properties.test.mjs.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { layerCase, runs } from '../support/arbitraries.mjs';
import { withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { memoryInUse } from '../support/package.mjs';
import { forward } from '../support/reference.mjs';
import { assertNoUncapturedErrors, counts, requestTestDevice } from '../support/webgpu.mjs';
import { Device, strategies, withGpuLayer } from '../support/webgpu_layer.mjs';

const device = new Device(await requestTestDevice());
const crossAttention = layerCase('float32', { maxCost: 60_000 }).filter(({ length }) => length !== null);

for (const [name, numRuns] of [
  ['registers, parts', 25],
  ['workgroup, flash', 6],
]) {
  describe(name, () => {
    for (const association of ['plain', 'folded']) {
      test(`${association}: random shapes, two runs`, () =>
        fc.assert(
          fc.asyncProperty(crossAttention, (description) =>
            withCase(description, (made) =>
              withGpuLayer(device, strategies[name], made, async (gpuLayer, gpuCall) => {
                const { call, operands, parameters } = gpuCall;
                const { context, input, mask } = operands;
                const prepared = await gpuLayer.prepareContext(call, context, parameters, association);
                try {
                  assert.equal(prepared.association, association);
                  const expected = forward(made.problem);
                  const run = () => gpuLayer.run(call, prepared, input, mask, false);
                  const [first, again] = [(await run()).values, (await run()).values];
                  const tolerance = 1e-4 * maximumMagnitude(expected);
                  assertClose(made.toTokens(first), expected, tolerance, 'output');
                  assertSameBits(again, first, 'the second run');
                } finally {
                  prepared.release();
                }
              }),
            ),
          ),
          runs(numRuns),
        ));
    }
  });
}

after(() => {
  assert.equal(memoryInUse(), 0);
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});
