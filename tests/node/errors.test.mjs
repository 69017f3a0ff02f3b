// Bad input: each code of the contract, messages that name what was wrong, and calls that failed without a trace.
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

afterEach(() => assert.equal(memoryInUse(), 0, 'the test has left memory in use'));

const size = { batch: 2, height: 3, width: 5, queryDim: 12, contextDim: 7, numHeads: 3, length: 9 };

test('the classes are as the contract has them', () => {
  assert.ok(Object.getPrototypeOf(CrossAttentionError) === Error);
  for (const [errorClass, code] of codes) {
    assert.ok(Object.getPrototypeOf(errorClass) === CrossAttentionError, errorClass.name);
    const error = new errorClass('text');
    assert.deepEqual([error.code, error.message, error.name], [code, 'text', errorClass.name]);
    assert.match(error.stack, /errors\.test\.mjs/);
  }
  // The contract's six, and the DeviceError of the denoiser's entry.
  assert.equal(codes.size, 7);
  assert.equal(new Set(codes.values()).size, codes.size);
});

/** Every way of passing tensors to the layer: what follows must hold for all of them. */
const calls = {
  forwardWithContext: (layer, ...rest) => layer.forwardWithContext(...rest),
  attentionMaps: (layer, ...rest) => layer.attentionMaps(...rest),
};

for (const [name, call] of Object.entries(calls)) {
  describe(`${name} refuses`, () => {
    test('what is no Tensor', () =>
      withCase(size, ({ layer, input, context }) => {
        const foreign = {
          shape: [2, 12, 3, 5],
          dtype: 'float32',
          data: () => new Float32Array(360),
          size: 360,
        };
        const lookalike = Object.create(Tensor.prototype);
        for (const wrong of [
          5,
          'tensor',
          {},
          [],
          new Float32Array(360),
          foreign,
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
        assert.throws(() => call(layer, lookalike, context), 'an object without a tensor behind it');
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
            'it takes',
            'queryDim = 12',
          );
        }
      }));

    test('wrong ranks and sizes of the context', () =>
      withCase(size, ({ layer, input }, own) => {
        for (const shape of [[], [7], [9, 8], [2, 9, 6], [3, 9, 7], [0, 9, 7], [2, 9, 7, 1], [2, 7, 3, 3]]) {
          const wrong = own(Tensor.zeros(shape));
          assertThrows(
            () => call(layer, input, wrong),
            ShapeError,
            'context',
            `[${shape.join(', ')}]`,
            'takes',
          );
        }
      }));

    test('no context where contextDim is not queryDim', () =>
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
        const gone = Tensor.zeros(input.shape);
        gone.dispose();
        assertThrows(() => call(layer, gone, context), DisposedError, 'input', 'disposed');
        assertThrows(() => call(layer, input, gone), DisposedError, 'context', 'disposed');
        assertThrows(() => call(layer, input, context, { mask: gone }), DisposedError, 'mask', 'disposed');
      }));

    test('options that are no object', () =>
      withCase(size, ({ layer, input, context }) => {
        for (const wrong of [5, 'mask', true, () => {}]) {
          assertThrows(() => call(layer, input, context, wrong), ArgumentError, 'options', 'an object');
        }
      }));
  });
}

test('forward without a context refuses the same', () =>
  scoped((own) => {
    const cross = own(new DiffusionCrossAttention(8, 4, 2, 1));
    const itself = own(new DiffusionCrossAttention(8, 8, 2, 1));
    const input = own(Tensor.zeros([3, 8]));
    assertThrows(() => cross.forward(input), ShapeError, 'contextDim', '4', '8');
    assertThrows(() => itself.forward(null), ArgumentError, 'input');
    assertThrows(() => itself.forward(own(Tensor.zeros([3, 9]))), ShapeError, 'input', '[3, 9]');
    own(itself.forward(input));
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
    // The training forward before is still the one that backward belongs to.
    const gradients = layer.getParameterGradients();
    own(layer.backward(outputGradient));
    const twice = layer.getParameterGradients();
    assert.ok(twice.some((value, index) => value !== gradients[index]));
    assertSameBits(run(), output, 'output');
  }));

test('after dispose every member of the layer is a DisposedError, but for what it is', () => {
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
      assertThrows(member, DisposedError, 'DiffusionCrossAttention', 'disposed');
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

test('a layer is not a Tensor, a Tensor no layer', () =>
  withCase(size, ({ layer, input, context }) => {
    assertThrows(
      () => layer.forwardWithContext(layer, context),
      ArgumentError,
      'input',
      'DiffusionCrossAttention',
    );
    assert.throws(() => DiffusionCrossAttention.prototype.forward.call(input, input), TypeError);
    assert.throws(() => Tensor.prototype.data.call(layer), TypeError);
  }));
