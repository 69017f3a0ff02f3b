// Layers with other dimensions, biases and norms on the GPU, compared with WebAssembly.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  compile,
  DiffusionCrossAttention,
  gpuMemoryInUse,
  memoryInUse,
  synchronize,
  Tensor,
} from '../support/webgpu_package.mjs';
import { scoped } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { assertNoUncapturedErrors, settle } from '../support/webgpu.mjs';

after(async () => {
  await synchronize();
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.deepEqual(gpuMemoryInUse(), { buffers: 0, bytes: 0 });
  assertNoUncapturedErrors();
});

const assertNear = (actual, expected, name) =>
  assertClose(actual, expected, 1e-4 * maximumMagnitude(expected), name);

const layers = [
  { bias: true },
  { outputBias: false },
  { headDim: 5 },
  { headDim: 12, outputDim: 20, bias: true, outputBias: false },
  { outputDim: 7 },
  { outputDim: 64, bias: true },
];

function callOf(own, options, shape) {
  const layer = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1, ...options }));
  layer.setParameters(own(Tensor.randn([layer.parameterCount], { seed: 2, std: 0.3 })).data());
  const outputShape = [...shape];
  outputShape[shape.length === 4 ? 1 : 2] = layer.outputDim;
  return {
    layer,
    input: own(Tensor.randn(shape, { seed: 3 })),
    context: own(Tensor.randn([2, 9, 24], { seed: 4 })),
    outputGradient: own(Tensor.randn(outputShape, { seed: 5 })),
  };
}

for (const options of layers) {
  for (const shape of [
    [2, 32, 6, 6],
    [2, 36, 32],
  ]) {
    test(`forward and backward of [${shape}], ${JSON.stringify(options)}`, () =>
      scoped(async (own) => {
        const { layer, input, context, outputGradient } = callOf(own, options, shape);
        layer.training = true;
        const expected = own(layer.forwardWithContext(input, context));
        const inputGradient = own(layer.backward(outputGradient)).data();
        const parameters = layer.getParameterGradients();
        const contextGradient = layer.contextGradient.data();
        layer.clearGradients();
        for (const training of [false, true]) {
          layer.training = training;
          const output = own(await layer.forwardAsync(input, context, { device: 'webgpu' }));
          assert.match(layer.explain(), /^webgpu/);
          assert.deepEqual(output.shape, expected.shape);
          assertNear(output.data(), expected.data(), 'output');
        }
        assertNear(own(await layer.backwardAsync(outputGradient)).data(), inputGradient, 'input gradient');
        assert.match(layer.explain(), /^webgpu/);
        assertNear(layer.getParameterGradients(), parameters, 'parameter gradients');
        assertNear(layer.contextGradient.data(), contextGradient, 'context gradient');
      }));
  }

  test(`compiled graphs, ${JSON.stringify(options)}`, () =>
    scoped(async (own) => {
      const { layer, input, context } = callOf(own, options, [2, 32, 6, 6]);
      const expected = own(layer.forwardWithContext(input, context));
      const inputs = [];
      const output = layer.exportComputationGraph(inputs);
      const inputShapes = [input.shape, context.shape];
      for (const association of ['auto', 'plain', 'folded']) {
        const constants = new Map([[inputs[1], context]]);
        const compiled = own(
          await compile(output, inputs, { inputShapes, constants, association, device: 'webgpu' }),
        );
        const actual = own(await compiled.runAsync(input));
        assert.match(compiled.explain(), /^webgpu/);
        assert.deepEqual(actual.shape, expected.shape);
        assertNear(actual.data(), expected.data(), association);
      }
    }));
}

const norms = [
  { queryKeyNorm: 'layer_norm' },
  { queryKeyNorm: 'rms_norm' },
  { queryKeyNorm: 'layer_norm', headDim: 5, bias: true, normEpsilon: 0.1 },
  { queryKeyNorm: 'rms_norm', headDim: 12, outputDim: 20, bias: true, outputBias: false, normEpsilon: 0 },
];

for (const options of norms) {
  for (const shape of [
    [2, 32, 9, 9],
    [2, 67, 32],
  ]) {
    test(`forward of [${shape}], ${JSON.stringify(options)}`, () =>
      scoped(async (own) => {
        const { layer, input, context } = callOf(own, options, shape);
        const keys = own(Tensor.from([1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [2, 9]));
        for (const mask of [null, keys]) {
          const expected = own(layer.forwardWithContext(input, context, { mask }));
          const output = own(await layer.forwardAsync(input, context, { mask, device: 'webgpu' }));
          assert.match(layer.explain(), /^webgpu/);
          assert.deepEqual(output.shape, expected.shape);
          assertNear(output.data(), expected.data(), 'output');
        }
      }));
  }

  test(`self-attention, ${JSON.stringify(options)}`, () =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(32, 32, 4, 8, { seed: 1, ...options }));
      layer.setParameters(own(Tensor.randn([layer.parameterCount], { seed: 2, std: 0.3 })).data());
      const input = own(Tensor.randn([2, 21, 32], { seed: 3 }));
      const expected = own(layer.forwardWithContext(input, null)).data();
      const output = own(await layer.forwardAsync(input, null, { device: 'webgpu' }));
      assert.match(layer.explain(), /^webgpu/);
      assertNear(output.data(), expected, 'output');
    }));

  test(`compiled graphs, ${JSON.stringify(options)}`, () =>
    scoped(async (own) => {
      const { layer, input, context } = callOf(own, options, [2, 32, 6, 6]);
      const expected = own(layer.forwardWithContext(input, context)).data();
      const inputs = [];
      const output = layer.exportComputationGraph(inputs);
      const inputShapes = [input.shape, context.shape];
      for (const association of ['auto', 'plain']) {
        for (const isConstant of [false, true]) {
          const constants = new Map(isConstant ? [[inputs[1], context]] : []);
          const compiled = own(
            await compile(output, inputs, { inputShapes, constants, association, device: 'webgpu' }),
          );
          const actual = own(await compiled.runAsync(input, ...(isConstant ? [] : [context])));
          assert.match(compiled.explain(), /^webgpu/);
          assertNear(actual.data(), expected, association);
        }
      }
    }));

  test(`training runs in WebAssembly, and explain says why, ${JSON.stringify(options)}`, () =>
    scoped(async (own) => {
      const { layer, input, context, outputGradient } = callOf(own, options, [2, 36, 32]);
      layer.training = true;
      const expected = own(layer.forwardWithContext(input, context)).data();
      const inputGradient = own(layer.backward(outputGradient)).data();
      const output = own(await layer.forwardAsync(input, context, { device: 'webgpu' }));
      assert.equal(
        layer.explain(),
        `wasm: webgpu: no backward pass of queryKeyNorm '${options.queryKeyNorm}'`,
      );
      assert.deepEqual(output.data(), expected);
      const gradient = own(await layer.backwardAsync(outputGradient, { device: 'webgpu' }));
      assert.deepEqual(gradient.data(), inputGradient);
    }));
}
