// Tests of backward: accuracy, arguments, accumulation of gradients, and contextGradient.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import {
  additiveMask,
  exchangeAxes,
  joinParameters,
  keyMask,
  normalTensor,
  scoped,
  withCase,
} from '../support/cases.mjs';
import { assertClose, assertSameBits, assertWithin, relativeError } from '../support/compare.mjs';
import { gradientRelativeBound } from '../support/error_bounds.mjs';
import { assertThrows } from '../support/errors.mjs';
import {
  AdamOptimizer,
  ArgumentError,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  ShapeError,
  Tensor,
} from '../support/package.mjs';
import { backward, gradientMagnitudes } from '../support/reference_backward.mjs';
import { shapeNamed } from '../../support/shapes.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const size = { batch: 2, height: 5, width: 4, queryDim: 24, contextDim: 10, numHeads: 3, length: 13 };

/** Runs forward and backward of a case. Returns all gradients; the input gradient is in token layout. */
function gradientsOf({ layer, input, context, options, toTokens }, outputGradient, own) {
  layer.training = true;
  own(layer.forwardWithContext(input, context, options));
  const inputGradient = own(layer.backward(outputGradient));
  assert.deepEqual(inputGradient.shape, input.shape);
  assert.equal(inputGradient.dtype, layer.dtype);
  return {
    input: toTokens(inputGradient.data()),
    context: layer.contextGradient?.data() ?? null,
    parameters: layer.getParameterGradients(),
  };
}

describe('the relative error of float32 against the float64 reference is at most 1e-4', () => {
  const parts = ['input', 'context', 'query', 'key', 'value', 'output', 'bias'];
  // The reference is too slow for most of the project's shapes: all but tiny have fewer tokens here.
  const cases = {
    tiny: shapeNamed('tiny'),
    'sd15-64 with 8 × 7 tokens': { ...shapeNamed('sd15-64'), height: 8, width: 7 },
    'sd15-16 with 3 × 3 tokens and 260 context channels': {
      ...shapeNamed('sd15-16'),
      batch: 1,
      height: 3,
      width: 3,
      contextDim: 260,
    },
    'self-64 with 12 × 12 tokens': { ...shapeNamed('self-64'), height: 12, width: 12 },
  };
  for (const [name, description] of Object.entries(cases)) {
    test(name, (context) =>
      withCase({ ...description, dtype: 'float32' }, (made, own) => {
        const outputGradient = own(normalTensor(made.input.shape, 9));
        const actual = gradientsOf(made, outputGradient, own);
        const expected = backward(made.problem, made.toTokens(outputGradient.data()));
        const all = { ...actual, ...splitFlat(made.layer, actual.parameters) };
        const errors = parts
          .filter((part) => expected[part] !== null)
          .map((part) => [part, relativeError(all[part], expected[part])]);
        for (const [part, error] of errors) {
          assert.ok(error <= 1e-4, `${part}: relative error ${error}`);
        }
        const worst = errors.reduce((a, b) => (a[1] > b[1] ? a : b));
        context.diagnostic(`${name}: largest relative error ${worst[1].toExponential(1)} (${worst[0]})`);
      }),
    );
  }

  function splitFlat(layer, flat) {
    const names = ['query', 'key', 'value', 'output', 'bias'];
    let begin = 0;
    return Object.fromEntries(
      layer.getParameterNames().map((name, index) => {
        const count = layer.getParameterShape(name).reduce((a, b) => a * b, 1);
        begin += count;
        return [names[index], flat.subarray(begin - count, begin)];
      }),
    );
  }
});

for (const dtype of ['float32', 'float64']) {
  describe(`agrees with the reference, ${dtype}`, () => {
    const cases = {
      image: {},
      tokens: { layout: 'tokens' },
      'single tokens': { layout: 'single', batch: 1, contextLayout: 'single' },
      'one context for all rows': { contextBatch: 1 },
      'self-attention': { contextDim: 24, length: null },
      'key mask': { mask: keyMask(2, 13, 3, { ignored: [1] }) },
      'key mask, one context for all rows': { contextBatch: 1, mask: keyMask(2, 13, 3) },
      'key mask of one row': { mask: keyMask(1, 13, 3) },
      'additive mask': { mask: additiveMask([1, 3, 20, 13], 4) },
      'self-attention with a key mask': { contextDim: 24, length: null, mask: keyMask(2, 20, 3) },
      'negative scale': { layerOptions: { scale: -0.5 } },
      'small blocks': { layerOptions: { blockSizeQ: 5, blockSizeKV: 3 } },
      'many keys and tokens': { batch: 1, height: 17, width: 13, length: 270 },
    };
    for (const [name, extra] of Object.entries(cases)) {
      test(name, () =>
        withCase({ ...size, dtype, ...extra }, (made, own) => {
          const outputGradient = own(normalTensor(made.input.shape, 9, { dtype }));
          const actual = gradientsOf(made, outputGradient, own);
          const rows = made.toTokens(outputGradient.data());
          const expected = backward(made.problem, rows);
          const magnitudes = gradientMagnitudes(made.problem, rows);
          const relative = gradientRelativeBound(made.problem, dtype);
          const allowed = (values) => values.map((value) => relative * value);
          assertWithin(actual.input, expected.input, allowed(magnitudes.input), 'input');
          if (expected.context === null) assert.equal(actual.context, null);
          else assertWithin(actual.context, expected.context, allowed(magnitudes.context), 'context');
          const expectedParameters = joinParameters(expected);
          assertWithin(
            actual.parameters,
            expectedParameters,
            allowed(joinParameters(magnitudes)),
            'parameters',
          );
        }),
      );
    }
  });
}

describe('parameter gradients', () => {
  test('accumulate over calls until clearGradients', () =>
    withCase({ ...size, dtype: 'float64' }, ({ layer, input, context }, own) => {
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      const gradient = own(normalTensor(input.shape, 9, { dtype: 'float64' }));
      const first = own(layer.backward(gradient)).data();
      const once = layer.getParameterGradients();
      assert.ok(once.some((value) => value !== 0));
      assertSameBits(own(layer.backward(gradient)).data(), first, 'the same forward again');
      // The second call adds the same numbers, possibly one by one; each addition rounds.
      const twice = layer.getParameterGradients();
      const slack = once.map((value) => 1e-13 + 1e-13 * Math.abs(value));
      assertWithin(
        twice,
        once.map((value) => 2 * value),
        slack,
        'accumulated',
      );
      layer.clearGradients();
      assert.ok(layer.getParameterGradients().every((value) => value === 0));
      own(layer.backward(gradient));
      assertSameBits(layer.getParameterGradients(), once, 'after clearGradients');
    }));

  test('getParameterGradients returns a copy', () =>
    withCase(size, ({ layer }) => {
      layer.getParameterGradients().fill(5);
      assert.ok(layer.getParameterGradients().every((value) => value === 0));
    }));

  test('are the same for image layout and token layout', () =>
    withCase({ ...size, dtype: 'float64' }, (made, own) => {
      const { layer, input, context, problem, toTokens } = made;
      const image = own(normalTensor(input.shape, 9, { dtype: 'float64' }));
      const fromImage = gradientsOf(made, image, own);
      layer.clearGradients();
      const tokens = own(Tensor.from(problem.input, [2, 20, 24]));
      own(layer.forwardWithContext(tokens, context));
      const back = own(layer.backward(own(Tensor.from(toTokens(image.data()), [2, 20, 24]))));
      assertSameBits(back.data(), fromImage.input, 'input gradient');
      assertSameBits(layer.getParameterGradients(), fromImage.parameters, 'parameter gradients');
      assertSameBits(exchangeAxes(back.data(), 2, 20, 24).slice(0, 1), fromImage.input.slice(0, 1), 'first');
    }));
});

describe('backward uses the last training forward', () => {
  const setUp = (work) =>
    withCase(size, (made, own) => work({ ...made, gradient: own(normalTensor(made.input.shape, 9)), own }));

  test('throws ArgumentError without a training forward', () =>
    setUp(({ layer, input, context, gradient, own }) => {
      const attempt = () =>
        assertThrows(() => layer.backward(gradient), ArgumentError, 'backward', 'training');
      attempt();
      own(layer.forwardWithContext(input, context));
      attempt();
      layer.training = true;
      attempt();
      own(layer.forwardWithContext(input, context));
      own(layer.backward(gradient));
    }));

  test('ignores later inference forwards', () =>
    setUp(({ layer, input, context, gradient, own }) => {
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      const first = own(layer.backward(gradient)).data();
      layer.training = false;
      own(layer.forwardWithContext(own(normalTensor([3, 24], 5)), own(normalTensor([2, 10], 6))));
      assertSameBits(own(layer.backward(gradient)).data(), first, 'input gradient');
    }));

  const changes = {
    updateParameters: ({ layer }) => layer.updateParameters(0.1),
    'AdamOptimizer.step': ({ layer, own }) => own(new AdamOptimizer(layer)).step(),
    setParameters: ({ layer }) => layer.setParameters(layer.getParameters()),
    setParameter: ({ layer, own }) => layer.setParameter('to_out.0.bias', own(Tensor.zeros([24]))),
    loadWeights: ({ layer }) => void layer.loadWeights(layer.saveWeights()),
    resetState: ({ layer }) => layer.resetState(),
  };
  for (const [name, change] of Object.entries(changes)) {
    test(`throws ArgumentError after ${name} until the next training forward`, () =>
      setUp((made) => {
        const { layer, input, context, gradient, own } = made;
        layer.training = true;
        own(layer.forwardWithContext(input, context));
        change(made);
        assertThrows(() => layer.backward(gradient), ArgumentError, 'backward', 'forward');
        own(layer.forwardWithContext(input, context));
        own(layer.backward(gradient));
      }));
  }

  test('the input and context may be disposed before backward', () =>
    setUp(({ layer, input, context, gradient, own }) => {
      layer.training = true;
      const [inputCopy, contextCopy] = [input.clone(), context.clone()];
      own(layer.forwardWithContext(input, context));
      const expected = own(layer.backward(gradient)).data();
      layer.forwardWithContext(inputCopy, contextCopy).dispose();
      inputCopy.dispose();
      contextCopy.dispose();
      own(Tensor.full([1000], 7));
      assertSameBits(own(layer.backward(gradient)).data(), expected, 'input gradient');
    }));

  test('forwardAsync is also a training forward', () =>
    withCase(size, async ({ layer, input, context }, own) => {
      const gradient = own(normalTensor(input.shape, 9));
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      const expected = own(layer.backward(gradient)).data();
      layer.resetState();
      own(await layer.forwardAsync(input, context));
      assertSameBits(own(layer.backward(gradient)).data(), expected, 'input gradient');
    }));
});

describe('invalid output gradients', () => {
  test('throw ShapeError or ArgumentError and change nothing', () =>
    withCase(size, ({ layer, input, context }, own) => {
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      own(layer.backward(own(normalTensor(input.shape, 9))));
      const before = [layer.getParameterGradients(), layer.contextGradient.data(), memoryInUse()];
      const scopedTensors = (shape, dtype) => own(Tensor.zeros(shape, dtype));
      const memoryBefore = () => memoryInUse();
      for (const shape of [[2, 24, 4, 5], [2, 20, 24], [24, 5, 4], [1, 24, 5, 4], []]) {
        const wrong = scopedTensors(shape);
        const inUse = memoryBefore();
        assertThrows(() => layer.backward(wrong), ShapeError, 'outputGradient', '[2, 24, 5, 4]');
        assert.equal(memoryInUse(), inUse);
      }
      const wide = scopedTensors([2, 24, 5, 4], 'float64');
      assertThrows(() => layer.backward(wide), ArgumentError, 'outputGradient', 'float64', 'float32');
      for (const wrong of [null, undefined, 5, {}, new Float32Array(960)]) {
        assertThrows(() => layer.backward(wrong), ArgumentError, 'outputGradient', 'a Tensor');
      }
      const disposed = Tensor.zeros(input.shape);
      disposed.dispose();
      assertThrows(() => layer.backward(disposed), DisposedError, 'outputGradient');
      assertSameBits(layer.getParameterGradients(), before[0], 'parameter gradients');
      assertSameBits(layer.contextGradient.data(), before[1], 'context gradient');
    }));
});

describe('contextGradient', () => {
  const withBackward = (work) =>
    withCase(size, ({ layer, input, context }, own) => {
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      own(layer.backward(own(normalTensor(input.shape, 9))));
      work({ layer, input, context, own });
    });

  test('has the shape of the context; is null before backward and for self-attention', () =>
    scoped((own) => {
      const layer = own(new DiffusionCrossAttention(8, 8, 2, 4, { seed: 1 }));
      assert.equal(layer.contextGradient, null);
      layer.training = true;
      const input = own(Tensor.randn([5, 8], { seed: 2 }));
      for (const shape of [
        [3, 8],
        [1, 3, 8],
      ]) {
        own(layer.forwardWithContext(input, own(Tensor.randn(shape, { seed: 3 }))));
        own(layer.backward(input));
        assert.deepEqual(layer.contextGradient.shape, shape);
        assert.equal(layer.contextGradient.dtype, 'float32');
        assert.equal(layer.contextGradient, layer.contextGradient, 'the getter returns the same object');
      }
      own(layer.forward(input));
      own(layer.backward(input));
      assert.equal(layer.contextGradient, null);
    }));

  test('belongs to the layer: the next backward, resetState and dispose dispose it', () =>
    withBackward(({ layer, input, context, own }) => {
      const first = layer.contextGradient;
      const values = first.data();
      own(layer.forwardWithContext(input, context));
      assert.equal(layer.contextGradient, first, 'forward does not change it');
      own(layer.backward(input));
      assert.equal(first.disposed, true);
      assert.notDeepEqual(layer.contextGradient.data(), values);
      const second = layer.contextGradient;
      layer.resetState();
      assert.equal(second.disposed, true);
      assert.equal(layer.contextGradient, null);
      own(layer.forwardWithContext(input, context));
      own(layer.backward(input));
      const third = layer.contextGradient;
      layer.dispose();
      assert.equal(third.disposed, true);
      assertThrows(() => layer.contextGradient, DisposedError, 'DiffusionCrossAttention');
    }));

  test('the layer remains usable if the caller disposes contextGradient', () =>
    withBackward(({ layer, input, context, own }) => {
      layer.contextGradient.dispose();
      own(layer.forwardWithContext(input, context));
      own(layer.backward(input));
      assert.equal(layer.contextGradient.disposed, false);
    }));

  test('a failed backward does not change it', () =>
    withBackward(({ layer, own }) => {
      const gradient = layer.contextGradient;
      const wrong = own(Tensor.zeros([1]));
      assertThrows(() => layer.backward(wrong), ShapeError);
      assert.equal(layer.contextGradient, gradient);
      assert.equal(gradient.disposed, false);
    }));
});

test('gradients are exactly zero if the mask ignores all keys', () =>
  withCase(
    { ...size, mask: keyMask(1, 13, 1, { ignored: [0] }) },
    ({ layer, input, context, options }, own) => {
      layer.training = true;
      own(layer.forwardWithContext(input, context, options));
      const back = own(layer.backward(own(normalTensor(input.shape, 9)))).data();
      assertClose(back, new Float64Array(back.length), 0, 'input gradient');
    },
  ));
