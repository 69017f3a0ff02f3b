// Tests of tensors in GPU memory: transfers, shared and copied memory, and buffers and devices of the user.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import {
  ArgumentError,
  DiffusionCrossAttention,
  DisposedError,
  gpuMemoryInUse,
  init,
  memoryInUse,
  ShapeError,
  synchronize,
  Tensor,
} from 'diffusion-cross-attention';
import { initOptions } from '../support/variant.mjs';
import { assertNoUncapturedErrors, counts, requestTestDevice, settle } from '../support/webgpu.mjs';

// With option gpuDevice, navigator.gpu is not needed and software adapters are accepted.
const gpuDevice = await requestTestDevice();
const info = await init({ ...initOptions, gpuDevice, device: 'webgpu' });
const { scoped } = await import('../support/cases.mjs');
const { assertClose, assertSameBits, maximumMagnitude } = await import('../support/compare.mjs');
const { assertRejects, assertThrows } = await import('../support/errors.mjs');

const STORAGE = 0x80;
const COPY = 0x4 | 0x8;
const userBuffer = (values, usage = STORAGE | COPY) => {
  const buffer = gpuDevice.createBuffer({ size: values.byteLength, usage });
  gpuDevice.queue.writeBuffer(buffer, 0, values);
  return buffer;
};

test("the user's device is in use", () => {
  assert.equal(info.device, 'webgpu');
  assert.match(info.webgpu, /swiftshader/i);
});

describe('transfers', () => {
  for (const shape of [[1], [3], [5, 7], [2, 3, 4, 5]]) {
    test(`[${shape.join(', ')}]: the same bits`, () =>
      scoped(async (own) => {
        const tensor = own(Tensor.randn(shape, { seed: 1 }));
        const resident = own(await tensor.to('webgpu'));
        assert.equal(resident.location, 'webgpu');
        assert.equal(resident.dtype, 'float32');
        assert.deepEqual(resident.shape, shape);
        assertSameBits(await resident.dataAsync(), tensor.data(), 'dataAsync');
        assertSameBits(own(await resident.to('wasm')).data(), tensor.data(), 'to wasm');
        assertSameBits(await tensor.dataAsync(), tensor.data(), 'dataAsync in WebAssembly memory');
        assert.equal(tensor.gpuBuffer, null);
        assert.ok(resident.gpuBuffer.size >= 4 * tensor.size);
      }));
  }

  test('NaN, infinities, -0 and subnormal numbers keep their bits', () =>
    scoped(async (own) => {
      const values = Float32Array.of(NaN, Infinity, -Infinity, -0, 1e-45);
      const resident = own(await own(Tensor.from(values, [5])).to('webgpu'));
      assertSameBits(await resident.dataAsync(), values, 'values');
    }));

  test('reshape shares memory, clone and to copy it', () =>
    scoped(async (own) => {
      const before = counts.alive;
      const resident = await own(Tensor.randn([4, 6], { seed: 1 })).to('webgpu');
      const reshaped = resident.reshape([-1, 8]);
      assert.deepEqual(reshaped.shape, [3, 8]);
      assert.equal(reshaped.gpuBuffer, resident.gpuBuffer);
      assertThrows(() => resident.reshape([5, 5]), ShapeError, '[5, 5]', '24');
      const copies = [resident.clone(), await resident.to('webgpu')];
      const values = await resident.dataAsync();
      gpuDevice.queue.writeBuffer(resident.gpuBuffer, 0, new Float32Array(24));
      assert.deepEqual([...(await reshaped.dataAsync())], new Array(24).fill(0));
      resident.dispose();
      resident.dispose();
      assert.deepEqual([...(await reshaped.dataAsync())], new Array(24).fill(0));
      for (const copy of copies) {
        assertSameBits(await copy.dataAsync(), values, 'a copy');
        copy.dispose();
      }
      reshaped.dispose();
      assert.equal(counts.alive, before);
      await assertRejects(() => resident.dataAsync(), DisposedError);
      assertThrows(() => resident.gpuBuffer, DisposedError);
    }));

  test('throw ArgumentError for float64', () =>
    scoped(async (own) => {
      const tensor = own(Tensor.zeros([2], 'float64'));
      await assertRejects(() => tensor.to('webgpu'), ArgumentError, 'float64', 'float32');
      await assertRejects(() => tensor.to('gpu'), ArgumentError, 'location', 'gpu');
    }));
});

describe("the user's buffers", () => {
  test('forward uses them without a copy and does not destroy them', () =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
      const inWasm = own(Tensor.randn([2, 32, 6, 6], { seed: 2 }));
      const context = own(Tensor.randn([2, 9, 24], { seed: 3 }));
      const expected = own(layer.forwardWithContext(inWasm, context)).data();
      const buffer = userBuffer(inWasm.data());
      const input = Tensor.fromGpuBuffer(buffer, [2, 32, 6, 6]);
      assert.equal(input.gpuBuffer, buffer);
      const output = await layer.forwardAsync(input, context);
      assert.equal(output.location, 'webgpu');

      // The user's own commands on the same queue.
      const staging = gpuDevice.createBuffer({ size: 4 * output.size, usage: 0x1 | 0x8 });
      const encoder = gpuDevice.createCommandEncoder();
      encoder.copyBufferToBuffer(output.gpuBuffer, 0, staging, 0, 4 * output.size);
      gpuDevice.queue.submit([encoder.finish()]);
      await staging.mapAsync(1);
      const actual = new Float32Array(staging.getMappedRange().slice(0));
      assertClose(actual, expected, 1e-4 * maximumMagnitude(expected), 'output');
      staging.destroy();
      for (const tensor of [input, output]) tensor.dispose();
      await synchronize();

      // The buffer still exists: it can be written to and wrapped again.
      gpuDevice.queue.writeBuffer(buffer, 0, new Float32Array(4).fill(7));
      const again = own(Tensor.fromGpuBuffer(buffer, [4]));
      assert.deepEqual([...(await again.dataAsync())], [7, 7, 7, 7]);
      buffer.destroy();
    }));

  test('errors name the argument', () => {
    assertThrows(() => Tensor.fromGpuBuffer({}, [1]), ArgumentError, 'buffer', 'GPUBuffer');
    const buffer = userBuffer(new Float32Array(4));
    assertThrows(() => Tensor.fromGpuBuffer(buffer, [5]), ShapeError, 'buffer', '16', '20');
    assertThrows(() => Tensor.fromGpuBuffer(buffer, [0.5]), ArgumentError, 'shape');
    buffer.destroy();
    const storageOnly = userBuffer(new Float32Array(4), STORAGE | 0x8);
    assertThrows(() => Tensor.fromGpuBuffer(storageOnly, [4]), ArgumentError, 'buffer.usage', 'COPY_SRC');
    storageOnly.destroy();
  });
});

after(async () => {
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.deepEqual(gpuMemoryInUse(), { buffers: 0, bytes: 0 });
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});
