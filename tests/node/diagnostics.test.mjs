// Tests of getDiagnostics: its entries, all of which are strings.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyMask, withCase } from '../support/cases.mjs';
import { memoryInUse, runtimeInfo } from '../support/package.mjs';

const size = {
  batch: 2,
  height: 6,
  width: 4,
  queryDim: 24,
  contextDim: 10,
  numHeads: 3,
  length: 13,
  layerOptions: { blockSizeQ: 8, blockSizeKV: 6 },
};

describe('getDiagnostics', () => {
  test('returns strings by name', () =>
    withCase(size, ({ layer }) => {
      const diagnostics = layer.getDiagnostics();
      for (const [name, value] of Object.entries(diagnostics)) assert.equal(typeof value, 'string', name);
      const expected = {
        dtype: 'float32',
        queryDim: '24',
        contextDim: '10',
        numHeads: '3',
        headDim: '8',
        spatialSize: '6',
        threads: String(runtimeInfo.threads),
        device: 'wasm',
        version: runtimeInfo.version,
        training: 'false',
        parameters: String(layer.parameterCount),
        memoryInUse: String(memoryInUse()),
      };
      for (const [name, value] of Object.entries(expected)) assert.equal(diagnostics[name], value, name);
      assert.ok(diagnostics.simd.includes(runtimeInfo.simd), diagnostics.simd);
      assert.ok(Number(diagnostics.scale) > 0);
      assert.ok(diagnostics.deviceReason.length > 0, 'the reason for the device');
    }));

  test('includes shapes, FLOPs and milliseconds of the last forward and backward', () =>
    withCase(
      { ...size, mask: keyMask(2, 13, 1, { probability: 1 }) },
      ({ layer, input, context, options }, own) => {
        const before = layer.getDiagnostics();
        assert.equal(before.forwardFlops, undefined);
        layer.training = true;
        own(layer.forwardWithContext(input, context, options));
        const forward = layer.getDiagnostics();
        assert.match(forward.forwardShapes, /\[2, 24, 6, 4\].*\[2, 13, 10\]/);
        // 2·B·(2·N·C² + 2·L·D·C + 2·N·L·C)
        assert.equal(
          Number(forward.forwardFlops),
          4 * (2 * 24 * 24 ** 2 + 2 * 13 * 10 * 24 + 2 * 24 * 13 * 24),
        );
        assert.ok(Number(forward.forwardMilliseconds) >= 0);
        assert.ok(Number(forward.forwardGflopsPerSecond) >= 0);
        assert.ok(Number(forward.forwardPeakBytes) >= input.size * 4, 'at least the output');
        assert.equal(forward.training, 'true');
        assert.equal(forward.backwardFlops, undefined);
        own(layer.backward(input));
        const backward = layer.getDiagnostics();
        assert.ok(Number(backward.backwardFlops) > 1.9 * Number(forward.forwardFlops));
        assert.match(backward.backwardShapes, /\[2, 24, 6, 4\]/);
      },
    ));

  test('includes the bytes of parameters, contexts and activations', () =>
    withCase(size, ({ layer, input, context }, own) => {
      const parameterBytes = 4 * layer.parameterCount;
      assert.equal(Number(layer.getDiagnostics().parameterBytes), parameterBytes);
      assert.equal(Number(layer.getDiagnostics().gradientBytes), 0);
      own(layer.forwardWithContext(input, context));
      assert.ok(Number(layer.getDiagnostics().contextBytes) > context.size * 4);
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      assert.ok(Number(layer.getDiagnostics().activationBytes) >= 4 * 2 * 24 * 3);
      layer.resetState();
      assert.equal(Number(layer.getDiagnostics().activationBytes), 0);
      assert.equal(Number(layer.getDiagnostics().contextBytes), 0);
      own(layer.forwardWithContext(input, context));
      own(layer.backward(input));
      assert.equal(Number(layer.getDiagnostics().parameterBytes), 2 * parameterBytes);
      assert.equal(Number(layer.getDiagnostics().gradientBytes), parameterBytes);
    }));

  test('includes the block sizes', () =>
    withCase(size, ({ layer, input, context }, own) => {
      own(layer.forwardWithContext(input, context));
      const names = Object.keys(layer.getDiagnostics()).join(' ');
      assert.match(names, /block/i, `names: ${names}`);
    }));
});
