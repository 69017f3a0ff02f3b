// Tests of devices with small limits: layers are computed in parts of batch rows, scores in parts of tokens.
// Calls that exceed the limits even then reject before any work is submitted. webgpu.mjs asserts that all
// buffers and bindings are within the limits.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { additiveMask, joinParameters, keyMask, withCase } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { memoryInUse } from '../support/package.mjs';
import { normalArray } from '../../support/random.mjs';
import { forward } from '../support/reference.mjs';
import { backward } from '../support/reference_backward.mjs';
import { assertNoUncapturedErrors, counts, requestTestDevice } from '../support/webgpu.mjs';
import { Device, forwardOnGpu, strategies, trainOnGpu, withGpuLayer } from '../support/webgpu_layer.mjs';

const strategy = strategies['registers, parts'];
const small = { batch: 5, height: 6, width: 6, queryDim: 32, contextDim: 24, numHeads: 4, length: 10 };
/**
 * Bytes of a batch row of the input. Scores of 64 tokens would need 12 KiB; those of all 36 tokens need 6912
 * bytes.
 */
const row = 4 * 32 * 36;
const assertNear = (actual, expected, name) =>
  assertClose(actual, expected, 1e-4 * maximumMagnitude(expected), name);

const masks = {
  none: null,
  key: keyMask(5, 10, 3, { ignored: [2] }),
  'key, shared': keyMask(1, 10, 3),
  additive: additiveMask([5, 1, 1, 10], 3),
};
const limitsOf = (bytes) => ({ maxBufferSize: bytes, maxStorageBufferBindingSize: bytes });

describe('a batch that exceeds the limits', () => {
  for (const [layout, contextBatch] of [
    ['image', 5],
    ['tokens', 5],
    ['image', 1],
  ]) {
    for (const [name, mask] of Object.entries(masks)) {
      test(`${layout}, context batch size: ${contextBatch}, mask: ${name}`, async () => {
        // Two rows at a time, then a last one: 2 · 6912 bytes of scores, or weights of 4096 bytes.
        const device = new Device(await requestTestDevice({ limits: limitsOf(2 * 6912 + 100) }));
        await withCase({ ...small, layout, contextBatch, mask }, (made) =>
          withGpuLayer(device, strategy, made, async (gpuLayer, gpuCall) => {
            const output = made.toTokens(await forwardOnGpu(gpuLayer, gpuCall));
            assertNear(output, forward(made.problem), 'output');
          }),
        );
        device.gpu.destroy();
      });
    }
  }

  test('GPU tensors that are larger than the largest binding', async () => {
    const limits = { maxStorageBufferBindingSize: 2 * 6912 + 100 };
    const device = new Device(await requestTestDevice({ limits }));
    await withCase(small, (made) =>
      withGpuLayer(device, strategy, made, async (gpuLayer, { call, operands, parameters }) => {
        const values = operands.input.values();
        assert.ok(values.byteLength > limits.maxStorageBufferBindingSize);
        const storage = await device.allocate('input', values.byteLength);
        device.upload(storage.buffer, 0, values);
        const residentOperands = { ...operands, input: { resident: storage.buffer } };
        const options = { training: false, resident: true };
        const { result } = await gpuLayer.forward(call, residentOperands, parameters, options);
        const output = await device.read(result.storage.buffer, 0, values.byteLength);
        assertNear(made.toTokens(output), forward(made.problem), 'output');
        for (const owned of [storage, result.storage]) owned.release();
      }),
    );
    device.gpu.destroy();
  });
});

test('scores that exceed the limits, forward and backward', async () => {
  // 64 tokens of all heads and both batch rows need 4 · 2 · 4 · 12 · 64 = 24,576 bytes; there are 144 tokens.
  const limits = { maxStorageBufferBindingSize: 2 * 4 * 32 * 144 };
  const device = new Device(await requestTestDevice({ limits }));
  const description = { ...small, batch: 2, height: 12, width: 12, mask: additiveMask([2, 1, 144, 10], 3) };
  await withCase(description, (made) =>
    withGpuLayer(device, strategy, made, async (gpuLayer, gpuCall) => {
      const { problem, toTokens } = made;
      assertNear(toTokens(await forwardOnGpu(gpuLayer, gpuCall)), forward(problem), 'output');
      const outputGradient = normalArray(made.input.size, 9, { dtype: 'float32' });
      const actual = await trainOnGpu(gpuLayer, gpuCall, outputGradient);
      const expected = backward(problem, toTokens(outputGradient));
      assertNear(toTokens(actual.input), expected.input, 'input gradient');
      assertNear(actual.context, expected.context, 'context gradient');
      assertNear(actual.parameters, joinParameters(expected), 'parameter gradients');
    }),
  );
  device.gpu.destroy();
});

test('a call that exceeds the limits rejects with DeviceError, without a leak', async () => {
  const device = new Device(await requestTestDevice({ limits: limitsOf(row - 16) }));
  await withCase(small, (made) =>
    withGpuLayer(device, strategy, made, (gpuLayer, gpuCall) =>
      assert.rejects(forwardOnGpu(gpuLayer, gpuCall), { code: 'ERR_DEVICE', message: /6912.*4592/ }),
    ),
  );
  const training = new Device(await requestTestDevice({ limits: limitsOf(2 * 6912 + 100) }));
  await withCase(small, (made) =>
    withGpuLayer(training, strategy, made, (gpuLayer, gpuCall) =>
      assert.rejects(trainOnGpu(gpuLayer, gpuCall, made.input.data()), {
        code: 'ERR_DEVICE',
        message: new RegExp(`training.*\\d+ bytes.*${2 * 6912 + 100}`),
      }),
    ),
  );
  for (const { gpu } of [device, training]) gpu.destroy();
});

after(() => {
  assert.equal(memoryInUse(), 0);
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});
