// Tests of recorded and of causal calls with WebGPU: heat maps as in WebAssembly, and where the calls run.
import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import {
  ArgumentError,
  AttentionRecorder,
  gpuMemoryInUse,
  memoryInUse,
  ShapeError,
  synchronize,
  Tensor,
} from '../support/webgpu_package.mjs';
import { additiveMask, keyMask, normalTensor, withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertRejects } from '../support/errors.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));
after(async () => {
  await synchronize();
  await settle();
  assert.deepEqual(gpuMemoryInUse(), { buffers: 0, bytes: 0 });
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});

const size = { batch: 2, height: 6, width: 6, queryDim: 32, contextDim: 24, numHeads: 4, length: 9 };
const groups = { cat: [1], hat: [8, 3, 4], all: [0, 1, 2, 3, 4, 5, 6, 7, 8] };

describe('heat maps as in WebAssembly', () => {
  const cases = {
    image: {},
    tokens: { layout: 'tokens' },
    'single tokens': { layout: 'single', batch: 1 },
    'self-attention': { contextDim: 32, length: null },
    'one context': { contextBatch: 1 },
    'key mask': { mask: keyMask(2, 9, 3, { ignored: [1] }) },
    'additive mask': { mask: additiveMask([2, 4, 36, 9], 4) },
    'tokens that are no multiple of 4': { height: 3, width: 5 },
  };
  for (const [name, extra] of Object.entries(cases)) {
    for (const training of [false, true]) {
      test(`${name}${training ? ', training' : ''}`, () =>
        withCase({ ...size, ...extra }, async ({ layer, input, context, options }, own) => {
          layer.training = training;
          const allRows = ['all', 'conditional'].slice(0, input.rank === 2 ? 1 : 2);
          for (const rows of allRows) {
            const [gpu, wasm] = [1, 2].map(() => own(new AttentionRecorder({ size: 8, groups })));
            const call = (recorder, device) => {
              const record = { recorder, name: 'mid', rows };
              return layer.forwardAsync(input, context, { ...options, record, device });
            };
            const plain = own(await layer.forwardAsync(input, context, { ...options, device: 'webgpu' }));
            for (let step = 0; step < 2; ++step) {
              const output = own(await call(gpu, 'webgpu'));
              assert.match(layer.explain(), /^webgpu: /);
              assertSameBits(output.data(), plain.data(), 'output');
              own(await call(wasm, 'wasm'));
            }
            assert.equal(gpu.calls, 2);
            for (const group of Object.keys(groups)) {
              assertClose(gpu.heatMap(group), wasm.heatMap(group), 2e-5, `${group}, ${rows}`);
            }
          }
        }));
    }
  }

  test('a tensor in GPU memory, and a recorder that is reset during the call', () =>
    withCase(size, async ({ layer, input, context }, own) => {
      const recorder = own(new AttentionRecorder({ size: 6, groups }));
      const resident = own(await input.to('webgpu'));
      const record = { recorder };
      const output = own(await layer.forwardAsync(resident, context, { record, device: 'webgpu' }));
      assert.equal(output.location, 'webgpu');
      const map = recorder.heatMap('hat');
      own(await layer.forwardAsync(resident, context, { record, device: 'wasm' }));
      assertClose(recorder.heatMap('hat'), map, 2e-5, 'heat map');
      const pending = layer.forwardAsync(resident, context, { record, device: 'webgpu' });
      recorder.reset();
      own(await pending);
      assert.equal(recorder.calls, 0);
      const other = layer.forwardAsync(resident, context, { record, device: 'wasm' });
      recorder.reset();
      own(await other);
      assert.equal(recorder.calls, 0);
    }));
});

test('errors of recorded calls are those of WebAssembly', () =>
  withCase({ ...size, batch: 3 }, async ({ layer, input, context }, own) => {
    const recorder = own(new AttentionRecorder({ size: 6, groups }));
    const far = own(new AttentionRecorder({ size: 6, groups: { far: [9] } }));
    const tokens = own(normalTensor([3, 15, 32], 9));
    const failures = [
      [tokens, { recorder }, ShapeError, '15 tokens'],
      [input, { recorder, rows: 'conditional' }, ShapeError, 'batch of 3'],
      [input, { recorder: far }, ArgumentError, 'key 9'],
    ];
    for (const device of ['webgpu', 'wasm']) {
      for (const [given, record, ...expected] of failures) {
        await assertRejects(() => layer.forwardAsync(given, context, { record, device }), ...expected);
      }
    }
    assert.equal(recorder.calls, 0);
  }));

test('causal attention runs in WebAssembly and says so', () =>
  withCase({ ...size, layout: 'tokens' }, async ({ layer, input, context }, own) => {
    const expected = own(layer.forwardWithContext(input, context, { causal: true })).data();
    const options = { causal: true, device: 'webgpu' };
    assertSameBits(own(await layer.forwardAsync(input, context, options)).data(), expected, 'output');
    assert.match(layer.explain(), /^wasm: causal attention runs in WebAssembly only/);
    layer.training = true;
    own(await layer.forwardAsync(input, context, options));
    const gradient = own(Tensor.full(input.shape, 0.5));
    const inWasm = own(layer.backward(gradient)).data();
    own(await layer.forwardAsync(input, context, options));
    const actual = own(await layer.backwardAsync(gradient)).data();
    assertClose(actual, inWasm, 1e-6 * maximumMagnitude(inWasm), 'gradient');
  }));
