// Layers with other dimensions, biases and norms of queries and keys: parameters, files, graphs, ONNX, calls.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { withSession } from '../support/onnx_run.mjs';
import * as attention from '../support/onnx_package.mjs';

const { ArgumentError, compile, DiffusionCrossAttention, memoryInUse, ShapeError, Tensor, toOnnx } =
  attention;
const { WeightsError } = attention;

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

/** Options, and the parameters of a layer of 24 channels, contextDim 10 and 3 heads. */
const layers = [
  [{ bias: true }, 'to_q.bias', 'to_k.bias', 'to_v.bias', 'to_out.0.bias'],
  [{ outputBias: false }],
  [{ headDim: 5 }, 'to_out.0.bias'],
  [{ headDim: 13, outputDim: 7, bias: true, outputBias: false }, 'to_q.bias', 'to_k.bias', 'to_v.bias'],
  [{ outputDim: 40 }, 'to_out.0.bias'],
  [{ queryKeyNorm: 'rms_norm', headDim: 6 }, 'norm_q.weight', 'norm_k.weight', 'to_out.0.bias'],
  [
    { queryKeyNorm: 'layer_norm', bias: true, outputDim: 5, normEpsilon: 1e-3 },
    'to_q.bias',
    'to_k.bias',
    'to_v.bias',
    'norm_q.weight',
    'norm_q.bias',
    'norm_k.weight',
    'norm_k.bias',
    'to_out.0.bias',
  ],
];
const order = ['to_q', 'to_k', 'to_v', 'norm_q', 'norm_k', 'to_out.0'].flatMap((name) => [
  `${name}.weight`,
  `${name}.bias`,
]);

/** Returns a layer with random parameters, and tensors of a call. */
function callOf(own, options, { dtype = 'float32', tokens = 20, length = 7 } = {}) {
  const layer = own(new DiffusionCrossAttention(24, 10, 3, 8, { seed: 1, dtype, ...options }));
  const random = own(Tensor.randn([layer.parameterCount], { seed: 2, std: 0.3, dtype })).data();
  layer.setParameters(random);
  return {
    layer,
    input: own(Tensor.randn([2, tokens, 24], { seed: 3, dtype })),
    context: own(Tensor.randn([2, length, 10], { seed: 4, dtype })),
    outputGradient: own(Tensor.randn([2, tokens, layer.outputDim], { seed: 5, dtype })),
  };
}

describe('parameters', () => {
  test('follow the options, in the order of the contract', () =>
    scoped((own) => {
      for (const [options, ...others] of layers) {
        const { layer } = callOf(own, options);
        const weights = ['to_q.weight', 'to_k.weight', 'to_v.weight', 'to_out.0.weight'];
        const names = layer.getParameterNames();
        assert.deepEqual(new Set(names), new Set([...weights, ...others]));
        assert.deepEqual(
          names,
          order.filter((name) => names.includes(name)),
        );
        const { headDim = 8, outputDim = 24 } = options;
        assert.equal(layer.headDim, headDim);
        assert.equal(layer.outputDim, outputDim);
        const inner = 3 * headDim;
        const shapes = {
          'to_q.weight': [inner, 24],
          'to_k.weight': [inner, 10],
          'to_v.weight': [inner, 10],
          'to_out.0.weight': [outputDim, inner],
          'to_out.0.bias': [outputDim],
        };
        let count = 0;
        for (const name of names) {
          const shape = layer.getParameterShape(name);
          assert.deepEqual(shape, shapes[name] ?? [name.startsWith('norm') ? headDim : inner], name);
          count += shape.reduce((product, size) => product * size, 1);
        }
        assert.equal(layer.parameterCount, count);
        for (const name of order.filter((other) => !names.includes(other))) {
          assert.equal(layer.getParameterShape(name), undefined);
          assert.equal(layer.getParameter(name), undefined);
        }
      }
    }));

  test('files round-trip, and a strict load names the option', () =>
    scoped((own) => {
      for (const [options] of layers) {
        const { layer } = callOf(own, options);
        const other = own(new DiffusionCrossAttention(24, 10, 3, 8, { seed: 9, ...options }));
        other.loadWeights(layer.saveWeights({ prefix: 'attn2.' }), { prefix: 'attn2.' });
        assertSameBits(other.getParameters(), layer.getParameters());
      }
      const plain = own(new DiffusionCrossAttention(24, 10, 3));
      const load = (options, extra) => {
        const { layer } = callOf(own, options);
        return plain.loadWeights(layer.saveWeights(), extra);
      };
      assertThrows(() => load({ bias: true }), WeightsError, /to_q\.bias.*option bias/);
      assertThrows(
        () => load({ queryKeyNorm: 'rms_norm' }),
        WeightsError,
        /norm_q\.weight.*option queryKeyNorm/,
      );
      assertThrows(() => load({ outputBias: false }), WeightsError, /to_out\.0\.bias.*option outputBias/);
      assert.equal(load({ bias: true }, { strict: false }).loadedCount, 5);
    }));

  test('bad options are ArgumentErrors that name them', () => {
    const refused = [
      [{ headDim: 0 }, /headDim is 0/],
      [{ headDim: 1.5 }, /headDim is 1\.5/],
      [{ headDim: 20000 }, /headDim is 20000; expected an integer from 1 to 10922/],
      [{ outputDim: -1 }, /outputDim is -1/],
      [{ outputDim: 40000 }, /outputDim is 40000/],
      [{ bias: 1 }, /bias is 1; expected true or false/],
      [{ outputBias: 'yes' }, /outputBias is/],
      [{ queryKeyNorm: 'batch_norm' }, /queryKeyNorm is/],
      [{ queryKeyNorm: null }, /queryKeyNorm is null/],
      [{ normEpsilon: -1e-5 }, /normEpsilon is -0\.00001/],
      [{ normEpsilon: Number.NaN }, /normEpsilon is NaN/],
    ];
    for (const [options, message] of refused) {
      assertThrows(() => new DiffusionCrossAttention(24, 10, 3, 8, options), ArgumentError, message);
    }
    assertThrows(
      () => new DiffusionCrossAttention(25, 10, 3),
      ArgumentError,
      /numHeads is 3.*queryDim \(25\)/,
    );
    new DiffusionCrossAttention(25, 10, 3, 8, { headDim: 4 }).dispose();
  });
});

describe('calls', () => {
  test('outputs have outputDim channels in every layout, forward and backward', () =>
    scoped((own) => {
      const { layer } = callOf(own, { outputDim: 7, bias: true });
      layer.training = true;
      const context = own(Tensor.randn([7, 10], { seed: 4 }));
      for (const [input, output] of [
        [
          [2, 24, 3, 5],
          [2, 7, 3, 5],
        ],
        [
          [2, 15, 24],
          [2, 15, 7],
        ],
        [
          [15, 24],
          [15, 7],
        ],
      ]) {
        const result = own(layer.forwardWithContext(own(Tensor.randn(input, { seed: 3 })), context));
        assert.deepEqual([...result.shape], output);
        assertThrows(() => layer.backward(own(Tensor.zeros(input))), ShapeError, /outputGradient/);
        assert.deepEqual([...own(layer.backward(result)).shape], input);
      }
    }));

  test('forwardAsync has the bits of forward, with the parameters of its moment', async () =>
    scoped(async (own) => {
      for (const [options] of layers) {
        const { layer, input, context } = callOf(own, options, { tokens: 300 });
        const expected = own(layer.forwardWithContext(input, context)).data();
        const pending = layer.forwardAsync(input, context);
        layer.setParameters(new Float32Array(layer.parameterCount));
        assertSameBits(own(await pending).data(), expected);
      }
    }));

  test('a cached context has the bits of a new one', () =>
    scoped((own) => {
      for (const [options] of layers) {
        const { layer, input, context } = callOf(own, options);
        const first = own(layer.forwardWithContext(input, context)).data();
        assertSameBits(own(layer.forwardWithContext(input, context)).data(), first);
        assert.equal(layer.getDiagnostics().contextHits, '1');
      }
    }));

  test('a bias of the keys has no effect without a norm, and no gradient', () =>
    scoped((own) => {
      const { layer, input, context, outputGradient } = callOf(own, { bias: true }, { dtype: 'float64' });
      layer.training = true;
      const output = own(layer.forwardWithContext(input, context)).data();
      own(layer.backward(outputGradient));
      const begin = 24 * 24 + 24 + 24 * 10;
      assert.ok(
        layer
          .getParameterGradients()
          .subarray(begin, begin + 24)
          .every((value) => value === 0),
      );
      layer.setParameter('to_k.bias', own(Tensor.full([24], 3, 'float64')));
      assertClose(own(layer.forwardWithContext(input, context)).data(), output, 1e-12, 'output');
    }));
});

describe('graphs', () => {
  for (const dtype of ['float32', 'float64']) {
    test(`compiled graphs compute the layer, ${dtype}`, () =>
      scoped(async (own) => {
        const tolerance = dtype === 'float32' ? 2e-5 : 1e-12;
        for (const [options] of layers) {
          const { layer, input, context } = callOf(own, options, { dtype });
          const image = own(Tensor.randn([2, 24, 4, 5], { seed: 6, dtype }));
          const inputs = [];
          const output = layer.exportComputationGraph(inputs);
          assert.equal(output.shape.at(-1), layer.outputDim);
          const expect = async (given, settings) => {
            const expected = own(layer.forwardWithContext(given, context));
            const compiled = own(
              await compile(output, inputs, { inputShapes: [given.shape, context.shape], ...settings }),
            );
            const isConstant = settings?.constants !== undefined;
            const actual = own(isConstant ? compiled.run(given) : compiled.run(given, context));
            assert.deepEqual([...actual.shape], [...expected.shape]);
            const allowed = tolerance * maximumMagnitude(expected.data());
            assertClose(actual.data(), expected.data(), allowed, JSON.stringify({ options, ...settings }));
            return compiled;
          };
          await expect(input);
          await expect(input, { passes: [] });
          const constants = new Map([[inputs[1], context]]);
          const compiled = await expect(image, { constants });
          assert.match(compiled.describe(), /attention/);
          await expect(input, { constants, association: 'plain' });
          const folded = { constants, association: 'folded' };
          if (options.queryKeyNorm === undefined) await expect(image, folded);
          else await assertRejects(() => expect(image, folded), ArgumentError, /association.*queryKeyNorm/);
        }
      }));
  }

  test('ONNX Runtime computes the layer', () =>
    scoped(async (own) => {
      for (const [options] of layers) {
        const { layer, input, context } = callOf(own, options);
        const expected = own(layer.forwardWithContext(input, context)).data();
        for (const opset of [17, 18, 21]) {
          const inputs = [];
          const output = layer.exportComputationGraph(inputs);
          const feed = ({ shape, data }) => ({ shape, data });
          await withSession(toOnnx(output, inputs, { opset }), async (run) => {
            const results = await run({
              input: feed({ shape: input.shape, data: input.data() }),
              context: feed({ shape: context.shape, data: context.data() }),
            });
            const [{ data, shape }] = Object.values(results);
            assert.deepEqual([...shape], [2, 20, layer.outputDim]);
            assertClose(data, expected, 2e-5 * maximumMagnitude(expected), JSON.stringify(options));
          });
        }
      }
    }));
});
