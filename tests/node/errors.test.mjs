// Tests of errors: the classes and codes of the contract, messages that name the invalid argument, and failed
// calls that change nothing.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { normalTensor, scoped, withCase } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertThrows, codes } from '../support/errors.mjs';
import * as attention from '../support/package.mjs';

const {
  ArgumentError,
  CrossAttentionError,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  ShapeError,
  Tensor,
} = attention;

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const size = { batch: 2, height: 3, width: 5, queryDim: 12, contextDim: 7, numHeads: 3, length: 9 };

test('the error classes match the contract', () => {
  assert.ok(Object.getPrototypeOf(CrossAttentionError) === Error);
  for (const [errorClass, code] of codes) {
    assert.ok(Object.getPrototypeOf(errorClass) === CrossAttentionError, errorClass.name);
    const error = new errorClass('text');
    assert.deepEqual([error.code, error.message, error.name], [code, 'text', errorClass.name]);
    assert.match(error.stack, /errors\.test\.mjs/);
  }
  // The six of the contract, AbortedError, and DeviceError of the entry 'denoiser'.
  assert.equal(codes.size, 8);
  assert.equal(new Set(codes.values()).size, codes.size);
});

/** The methods that accept tensors. The tests below apply to each. */
const calls = {
  forwardWithContext: (layer, ...rest) => layer.forwardWithContext(...rest),
  attentionMaps: (layer, ...rest) => layer.attentionMaps(...rest),
};

for (const [name, call] of Object.entries(calls)) {
  describe(`${name} throws for`, () => {
    test('arguments that are not a Tensor', () =>
      withCase(size, ({ layer, input, context }) => {
        const tensorLike = {
          shape: [2, 12, 3, 5],
          dtype: 'float32',
          data: () => new Float32Array(360),
          size: 360,
        };
        const withoutHandle = Object.create(Tensor.prototype);
        for (const wrong of [
          5,
          'tensor',
          {},
          [],
          new Float32Array(360),
          tensorLike,
          true,
          () => input,
          Symbol('x'),
        ]) {
          assertThrows(() => call(layer, wrong, context), ArgumentError, 'input', 'a Tensor');
          assertThrows(() => call(layer, input, wrong), ArgumentError, 'context', 'a Tensor');
        }
        for (const none of [null, undefined]) {
          assertThrows(() => call(layer, none, context), ArgumentError, 'input', String(none));
        }
        assert.throws(() => call(layer, withoutHandle, context), 'an object without a tensor');
      }));

    test('wrong ranks and sizes of the input', () =>
      withCase(size, ({ layer, context }, own) => {
        const shapes = [
          [],
          [12],
          [13, 11],
          [2, 5, 13],
          [2, 11, 3, 5],
          [2, 3, 5, 12],
          [1, 2, 12, 3, 5],
          [0],
          [12, 0],
        ];
        for (const shape of shapes) {
          const wrong = own(Tensor.zeros(shape));
          assertThrows(
            () => call(layer, wrong, context),
            ShapeError,
            'input',
            `[${shape.join(', ')}]`,
            'queryDim = 12',
          );
        }
      }));

    test('wrong ranks and sizes of the context', () =>
      withCase(size, ({ layer, input }, own) => {
        for (const shape of [[], [7], [9, 8], [2, 9, 6], [3, 9, 7], [0, 9, 7], [2, 9, 7, 1], [2, 7, 3, 3]]) {
          const wrong = own(Tensor.zeros(shape));
          assertThrows(() => call(layer, input, wrong), ShapeError, 'context', `[${shape.join(', ')}]`);
        }
      }));

    test('no context if contextDim differs from queryDim', () =>
      withCase(size, ({ layer, input }) => {
        for (const none of [null, undefined]) {
          assertThrows(() => call(layer, input, none), ShapeError, 'context', 'contextDim', '7', '12');
        }
      }));

    test('tensors of another dtype', () =>
      withCase(size, ({ layer, input, context }, own) => {
        const wideInput = own(Tensor.zeros(input.shape, 'float64'));
        const wideContext = own(Tensor.zeros(context.shape, 'float64'));
        assertThrows(() => call(layer, wideInput, context), ArgumentError, 'input', 'float64', 'float32');
        assertThrows(() => call(layer, input, wideContext), ArgumentError, 'context', 'float64', 'float32');
      }));

    test('disposed tensors', () =>
      withCase(size, ({ layer, input, context }) => {
        const disposed = Tensor.zeros(input.shape);
        disposed.dispose();
        assertThrows(() => call(layer, disposed, context), DisposedError, 'input');
        assertThrows(() => call(layer, input, disposed), DisposedError, 'context');
        assertThrows(() => call(layer, input, context, { mask: disposed }), DisposedError, 'mask');
      }));

    test('options that are not an object', () =>
      withCase(size, ({ layer, input, context }) => {
        for (const wrong of [5, 'mask', true, () => {}]) {
          assertThrows(() => call(layer, input, context, wrong), ArgumentError, 'options', 'an object');
        }
      }));
  });
}

test('forward without a context throws for the same arguments', () =>
  scoped((own) => {
    const cross = own(new DiffusionCrossAttention(8, 4, 2, 1));
    const self = own(new DiffusionCrossAttention(8, 8, 2, 1));
    const input = own(Tensor.zeros([3, 8]));
    assertThrows(() => cross.forward(input), ShapeError, 'contextDim', '4', '8');
    assertThrows(() => self.forward(null), ArgumentError, 'input');
    assertThrows(() => self.forward(own(Tensor.zeros([3, 9]))), ShapeError, 'input', '[3, 9]');
    own(self.forward(input));
  }));

test('a failed call changes nothing: parameters, gradients, memory and later results', () =>
  withCase(size, ({ layer, input, context }, own) => {
    layer.training = true;
    const outputGradient = own(normalTensor(input.shape, 4));
    const run = () => own(layer.forwardWithContext(input, context)).data();
    const output = run();
    own(layer.backward(outputGradient));
    const wrongInput = own(Tensor.zeros([3, 11]));
    const wrongContext = own(Tensor.zeros([3, 9, 7]));
    const state = () => [
      layer.getParameters(),
      layer.getParameterGradients(),
      layer.contextGradient.data(),
      Float64Array.of(memoryInUse()),
    ];
    const before = state();
    const failures = [
      () => layer.forwardWithContext(wrongInput, context),
      () => layer.forwardWithContext(input, wrongContext),
      () => layer.forwardWithContext(input, null),
      () => layer.forwardWithContext(input, context, { mask: wrongContext }),
      () => layer.attentionMaps(input, wrongContext),
      () => layer.attentionMaps(input, context, { heads: 'some' }),
      () => layer.backward(wrongInput),
      () => layer.setParameters([1, 2, 3]),
      () => layer.setParameter('to_q.weight', wrongInput),
      () => layer.updateParameters(NaN),
      () => layer.updateParameters(1, { only: ['to_q'] }),
      () => layer.loadWeights(new Uint8Array(3)),
      () => layer.saveWeights({ dtype: 'F8' }),
      () => layer.exportComputationGraph(null),
      () => layer.exportComputationGraph([], { mask: 1 }),
      () => Tensor.from([1], [2]),
      () => Tensor.zeros([2 ** 40]),
      () => new DiffusionCrossAttention(8, 8, 3),
    ];
    for (const failure of failures) {
      assert.throws(failure, CrossAttentionError);
      state().forEach((values, index) =>
        assertSameBits(values, before[index], `state ${index} after ${failure}`),
      );
    }
    // backward still uses the training forward from before.
    const gradients = layer.getParameterGradients();
    own(layer.backward(outputGradient));
    const twice = layer.getParameterGradients();
    assert.ok(twice.some((value, index) => value !== gradients[index]));
    assertSameBits(run(), output, 'output');
  }));

test('after dispose all members of the layer throw DisposedError, except for its sizes and dtype', () => {
  const layer = new DiffusionCrossAttention(8, 4, 2, 16, { seed: 1 });
  const file = layer.saveWeights();
  const input = Tensor.zeros([3, 8]);
  layer.dispose();
  const members = {
    forward: () => layer.forward(input),
    forwardWithContext: () => layer.forwardWithContext(input, null),
    backward: () => layer.backward(input),
    attentionMaps: () => layer.attentionMaps(input, null),
    contextGradient: () => layer.contextGradient,
    getParameters: () => layer.getParameters(),
    setParameters: () => layer.setParameters([]),
    getParameterGradients: () => layer.getParameterGradients(),
    clearGradients: () => layer.clearGradients(),
    updateParameters: () => layer.updateParameters(1),
    trainableParameters: () => layer.trainableParameters,
    setTrainableParameters: () => layer.setTrainableParameters([]),
    resetState: () => layer.resetState(),
    getParameterNames: () => layer.getParameterNames(),
    namedParameterCount: () => layer.namedParameterCount,
    getParameterShape: () => layer.getParameterShape('to_q.weight'),
    getParameter: () => layer.getParameter('to_q.weight'),
    setParameter: () => layer.setParameter('to_q.weight', input),
    validateWeights: () => layer.validateWeights([]),
    loadWeights: () => layer.loadWeights(file),
    saveWeights: () => layer.saveWeights(),
    exportComputationGraph: () => layer.exportComputationGraph([]),
    getDiagnostics: () => layer.getDiagnostics(),
    training: () => layer.training,
    'training = true': () => (layer.training = true),
  };
  for (const [name, member] of Object.entries(members)) {
    try {
      assertThrows(member, DisposedError, 'DiffusionCrossAttention');
    } catch (error) {
      error.message = `${name}: ${error.message}`;
      throw error;
    }
  }
  const { queryDim, contextDim, numHeads, headDim, spatialSize, dtype } = layer;
  assert.deepEqual(
    [queryDim, contextDim, numHeads, headDim, spatialSize, dtype],
    [8, 4, 2, 4, 16, 'float32'],
  );
  layer.dispose();
  layer[Symbol.dispose]();
  input.dispose();
});

test('a layer is not a Tensor, and a Tensor is not a layer', () =>
  withCase(size, ({ layer, input, context }) => {
    assertThrows(
      () => layer.forwardWithContext(layer, context),
      ArgumentError,
      'input',
      'DiffusionCrossAttention',
    );
    assertThrows(() => DiffusionCrossAttention.prototype.forward.call(input, input), ArgumentError, 'this');
    assertThrows(() => Tensor.prototype.data.call(layer), ArgumentError, 'this');
  }));
