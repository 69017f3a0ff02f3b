// Devices with small limits: whole layers go some batch rows at a time, scores some tokens at a time; what fits in no way is
// refused before anything is done. webgpu.mjs sees to it that no buffer and no binding is larger than the limits say.
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
/** Bytes of a batch row of the input; scores of 64 tokens would be 12 KiB, those of all 36 tokens are 6912 bytes. */
const row = 4 * 32 * 36;
const near = (actual, expected, what) =>
  assertClose(actual, expected, 1e-4 * maximumMagnitude(expected), what);

const masks = {
  none: null,
  key: keyMask(5, 10, 3, { ignored: [2] }),
  'key, shared': keyMask(1, 10, 3),
  additive: additiveMask([5, 1, 1, 10], 3),
};
const limitsOf = (bytes) => ({ maxBufferSize: bytes, maxStorageBufferBindingSize: bytes });

describe('batch rows that do not fit together', () => {
  for (const [layout, contextBatch] of [
    ['image', 5],
    ['tokens', 5],
    ['image', 1],
  ]) {
    for (const [name, mask] of Object.entries(masks)) {
      test(`${layout}, contexts: ${contextBatch}, mask: ${name}`, async () => {
        // Two at a time, then a last one: 2 · 6912 bytes of scores, or weights of 4096 bytes.
        const device = new Device(await requestTestDevice({ limits: limitsOf(2 * 6912 + 100) }));
        await withCase({ ...small, layout, contextBatch, mask }, (made) =>
          withGpuLayer(device, strategy, made, async (gpuLayer, given) => {
            near(made.toTokens(await forwardOnGpu(gpuLayer, given)), forward(made.problem), 'output');
          }),
        );
        device.gpu.destroy();
      });
    }
  }

  test('whole tensors on the card that are larger than a binding may be', async () => {
    const limits = { maxStorageBufferBindingSize: 2 * 6912 + 100 };
    const device = new Device(await requestTestDevice({ limits }));
    await withCase(small, (made) =>
      withGpuLayer(device, strategy, made, async (gpuLayer, { call, operands, parameters }) => {
        const values = operands.input.values();
        assert.ok(values.byteLength > limits.maxStorageBufferBindingSize);
        const storage = await device.allocate('input', values.byteLength);
        device.upload(storage.buffer, 0, values);
        const given = { ...operands, input: { resident: storage.buffer } };
        const options = { keeps: false, resident: true };
        const { result } = await gpuLayer.forward(call, given, parameters, options);
        const output = await device.read(result.storage.buffer, 0, values.byteLength);
        near(made.toTokens(output), forward(made.problem), 'output');
        for (const owned of [storage, result.storage]) owned.release();
      }),
    );
    device.gpu.destroy();
  });
});

test('scores that do not fit: some tokens at a time, forward and backward', async () => {
  // 64 tokens of all heads and both batch rows: 4 · 2 · 4 · 12 · 64 = 24,576 bytes; there are 144 tokens.
  const limits = { maxStorageBufferBindingSize: 2 * 4 * 32 * 144 };
  const device = new Device(await requestTestDevice({ limits }));
  const description = { ...small, batch: 2, height: 12, width: 12, mask: additiveMask([2, 1, 144, 10], 3) };
  await withCase(description, (made) =>
    withGpuLayer(device, strategy, made, async (gpuLayer, given) => {
      const { problem, toTokens } = made;
      near(toTokens(await forwardOnGpu(gpuLayer, given)), forward(problem), 'output');
      const outputGradient = normalArray(made.input.size, 9, { dtype: 'float32' });
      const found = await trainOnGpu(gpuLayer, given, outputGradient);
      const expected = backward(problem, toTokens(outputGradient));
      near(toTokens(found.input), expected.input, 'input gradient');
      near(found.context, expected.context, 'context gradient');
      near(found.parameters, joinParameters(expected), 'parameter gradients');
    }),
  );
  device.gpu.destroy();
});

test('what fits in no way is refused, and nothing is left', async () => {
  const device = new Device(await requestTestDevice({ limits: limitsOf(row - 16) }));
  await withCase(small, (made) =>
    withGpuLayer(device, strategy, made, (gpuLayer, given) =>
      assert.rejects(forwardOnGpu(gpuLayer, given), {
        code: 'ERR_DEVICE',
        message: /one batch row needs 6912 bytes in one buffer; the device takes 4592/,
      }),
    ),
  );
  const training = new Device(await requestTestDevice({ limits: limitsOf(2 * 6912 + 100) }));
  await withCase(small, (made) =>
    withGpuLayer(training, strategy, made, (gpuLayer, given) =>
      assert.rejects(trainOnGpu(gpuLayer, given, made.input.data()), {
        code: 'ERR_DEVICE',
        message: /what is kept for a backward or of a context needs/,
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
