// Tests of compiled graphs: the results of the layer at any shape, with and without each pass; refresh after
// parameter changes, memory, errors.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { dtypes, layerCase, runs } from '../support/arbitraries.mjs';
import { normalTensor, scoped, withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { compileLayer, graphOf } from '../support/graphs.mjs';
import {
  ArgumentError,
  compile,
  CompiledGraph,
  composeGraph,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  ShapeError,
  Tensor,
} from '../support/package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

/** Relative to the largest output. The compiled graph computes the same products in another order. */
const tolerance = { float32: 1e-5, float64: 1e-12 };

function assertEager(output, eager, name) {
  assert.deepEqual(output.shape, eager.shape, name);
  const expected = eager.data();
  assertClose(output.data(), expected, tolerance[eager.dtype] * maximumMagnitude(expected), name);
}

/** Options of compile: all passes, all but one, none; both associations. */
const compileOptions = [
  {},
  { association: 'plain' },
  { association: 'folded' },
  { measure: false },
  { passes: { shareSubexpressions: false } },
  { passes: { fuseAttention: false } },
  { passes: { keepLayout: false } },
  { passes: { foldConstants: false } },
  { passes: { dropMaskedKeys: false } },
  {
    passes: {
      shareSubexpressions: false,
      fuseAttention: false,
      keepLayout: false,
      foldConstants: false,
      dropMaskedKeys: false,
    },
  },
];

describe('compiled results equal eager results', () => {
  for (const dtype of dtypes) {
    test(`random shapes, masks, constants, associations and passes, ${dtype}`, () =>
      fc.assert(
        fc.asyncProperty(
          layerCase(dtype, { maxCost: 60_000 }),
          fc.constantFrom(...compileOptions),
          fc.subarray([1, 2]),
          (description, options, constants) =>
            withCase({ ...description, maskDType: dtype }, async (made, own) => {
              const { layer, input, context } = made;
              const mask = made.options.mask ?? null;
              const tensors = [input, context ?? input, ...(mask === null ? [] : [mask])];
              const eager = own(layer.forwardWithContext(input, context, made.options));
              const constant = constants.filter((index) => index < tensors.length);
              const { compiled, runInputs } = await compileLayer(layer, tensors, { ...options, constant });
              own(compiled);
              assertEager(own(compiled.run(...runInputs)), eager, 'run');
              assertEager(own(await compiled.runAsync(...runInputs)), eager, 'runAsync');
            }),
        ),
        runs(60),
      ));
  }
});

const size = { batch: 2, height: 6, width: 5, queryDim: 32, contextDim: 12, numHeads: 4, length: 9 };
const withPrompt = (work) =>
  withCase(size, async (made, own) => {
    const { compiled } = await compileLayer(made.layer, [made.input, made.context], { constant: [1] });
    return work({ ...made, compiled: own(compiled) }, own);
  });

describe('CompiledGraph', () => {
  test('1,000 runs allocate nothing', () =>
    withPrompt(({ compiled, input }) => {
      const before = memoryInUse();
      for (let run = 0; run < 1000; ++run) compiled.run(input).dispose();
      assert.equal(memoryInUse(), before);
    }));

  test('a run does not overwrite an earlier output', () =>
    withPrompt(({ compiled, input }, own) => {
      const first = own(compiled.run(input));
      const copy = first.data();
      input.view().fill(0);
      own(compiled.run(input));
      assertSameBits(first.data(), copy, 'the first output');
    }));

  test('concurrent runs are queued; their inputs may be disposed after the call', () =>
    withPrompt(async ({ compiled, layer, input, context }, own) => {
      const eager = own(layer.forwardWithContext(input, context));
      const promises = Array.from({ length: 5 }, () => {
        const inputCopy = input.clone();
        const promise = compiled.runAsync(inputCopy);
        inputCopy.dispose();
        return promise;
      });
      assertEager(own(compiled.run(input)), eager, 'run');
      for (const output of await Promise.all(promises)) assertEager(own(output), eager, 'runAsync');
    }));

  test('a pending run uses the parameters at the time of the call', () =>
    withPrompt(async ({ compiled, layer, input, context }, own) => {
      const eager = own(layer.forwardWithContext(input, context));
      const promise = compiled.runAsync(input);
      layer.setParameters(layer.getParameters().fill(1e6));
      assertEager(own(await promise), eager, 'runAsync');
      compiled.refresh();
      const changed = own(layer.forwardWithContext(input, context));
      const last = compiled.runAsync(input);
      layer.dispose();
      assertEager(own(await last), changed, 'runAsync of a disposed layer');
    }));

  test('run throws ArgumentError after parameter changes until refresh', () =>
    withPrompt(async ({ compiled, layer, input, context }, own) => {
      const changes = [
        () => layer.setParameters(layer.getParameters().map((value) => 2 * value)),
        () => layer.setParameter('to_out.0.bias', own(Tensor.full([32], 3))),
        () => layer.updateParameters(0.1),
        () => layer.loadWeights(layer.saveWeights()),
      ];
      for (const change of changes) {
        change();
        assertThrows(() => compiled.run(input), ArgumentError, "'cross_attention'", 'refresh()');
        await assertRejects(() => compiled.runAsync(input), ArgumentError, "'cross_attention'", 'refresh()');
        compiled.refresh();
        assertEager(own(compiled.run(input)), own(layer.forwardWithContext(input, context)), 'refreshed');
      }
    }));

  test('run and refresh throw ArgumentError if a layer was disposed', () =>
    withPrompt(({ compiled, layer, input }) => {
      layer.dispose();
      assertThrows(() => compiled.run(input), ArgumentError, "'cross_attention'", 'disposed');
      assertThrows(() => compiled.refresh(), ArgumentError, "'cross_attention'", 'disposed');
    }));

  test('run throws if tensors do not match the compiled inputs', () =>
    withPrompt(async ({ compiled, input, context }, own) => {
      assertThrows(() => compiled.run(), ArgumentError, "'input'", '0', '1');
      assertThrows(() => compiled.run(input, context), ArgumentError, '2', '1');
      assertThrows(() => compiled.run(null), ArgumentError, "'input'");
      assertThrows(
        () => compiled.run(own(Tensor.zeros([1, 32, 6, 5]))),
        ShapeError,
        "'input'",
        '[1, 32, 6, 5]',
        '[2, 32, 6, 5]',
      );
      assertThrows(() => compiled.run(own(Tensor.zeros(input.shape, 'float64'))), ArgumentError, 'float64');
      assertThrows(() => compiled.runOutput(1, input), ArgumentError, 'output', '1');
      compiled.dispose();
      compiled.dispose();
      assertThrows(() => compiled.run(input), DisposedError, 'CompiledGraph');
      await assertRejects(() => compiled.runAsync(input), DisposedError, 'CompiledGraph');
      assertThrows(() => compiled.describe(), DisposedError);
      assertThrows(() => new CompiledGraph(), ArgumentError, 'compile');
    }));

  test('dispose during a run: the run completes or rejects with DisposedError', () =>
    withPrompt(async ({ compiled, layer, input, context }, own) => {
      const eager = own(layer.forwardWithContext(input, context));
      const promise = compiled.runAsync(input);
      await null;
      compiled.dispose();
      await promise.then(
        (output) => assertEager(own(output), eager, 'runAsync'),
        (error) => assert.ok(error instanceof DisposedError, error),
      );
    }));

  test('describe lists the steps and their costs', () =>
    withCase(size, async ({ layer, input, context }, own) => {
      const options = { constant: [1], association: 'plain' };
      const { compiled } = await compileLayer(layer, [input, context], options);
      own(compiled);
      const described = compiled.describe();
      for (const part of [
        'cross_attention',
        'flash attention',
        'K and V cached',
        'FLOPs',
        'bytes',
        'unoptimised',
        'scratch',
        'times less work',
      ]) {
        assert.ok(described.includes(part), `describe() does not contain ${part}:\n${described}`);
      }
      const { batch, queryDim, length } = size;
      const tokens = batch * 30;
      assert.equal(compiled.flops, 4 * tokens * queryDim * queryDim + 4 * tokens * length * queryDim);
      assert.ok(compiled.scratchBytes > 0);
    }));

  test('drops keys that a constant mask ignores', () =>
    withCase(
      { ...size, mask: { kind: 'key', shape: [1, 9], values: [1, 0, 0, 1, 0, 0, 0, 0, 1] } },
      async ({ layer, input, context, options }, own) => {
        const tensors = [input, context, options.mask];
        const all = { constant: [1, 2], association: 'plain' };
        const { compiled } = await compileLayer(layer, tensors, all);
        const unpruned = await compileLayer(layer, tensors, { ...all, passes: { dropMaskedKeys: false } });
        own(compiled);
        own(unpruned.compiled);
        assert.equal(unpruned.compiled.flops - compiled.flops, 4 * 60 * 6 * 32);
        assertEager(own(compiled.run(input)), own(layer.forwardWithContext(input, context, options)), 'run');
      },
    ));
});

describe('compile', () => {
  const withGraph = (work) => withCase(size, (made, own) => work({ ...made, ...graphOf(made.layer), own }));
  const shapes = [
    [2, 32, 6, 5],
    [2, 9, 12],
  ];

  test('rejects invalid graphs and options', () =>
    withGraph(async ({ inputs, output, context, own }) => {
      const rejects = (call, errorClass, ...parts) =>
        assertRejects(() => compile(...call), errorClass, ...parts);
      const ok = { inputShapes: shapes };
      await rejects([{}, inputs, ok], ArgumentError, 'output');
      await rejects([[], inputs, ok], ArgumentError, 'output');
      await rejects([output, {}, ok], ArgumentError, 'inputs');
      await rejects([output, [inputs[0], 1], ok], ArgumentError, 'inputs[1]');
      await rejects([output, inputs], ArgumentError, 'options');
      await rejects([output, inputs, {}], ArgumentError, 'inputShapes');
      await rejects([output, inputs, { inputShapes: [shapes[0]] }], ShapeError, 'inputShapes', '1', '2');
      await rejects([output, inputs, { inputShapes: [shapes[0], [2, 9, -1]] }], ShapeError, 'inputShapes[1]');
      await rejects(
        [output, inputs, { inputShapes: [shapes[0], [2, 9, 13]] }],
        ShapeError,
        "'context'",
        '13',
      );
      await rejects(
        [output, inputs, { inputShapes: [shapes[0], [3, 9, 12]] }],
        ShapeError,
        "'context'",
        '3',
        '2',
      );
      await rejects([output, [inputs[0]], { inputShapes: [shapes[0]] }], ArgumentError, "'context'");
      await rejects([output, [inputs[0], inputs[0]], ok], ArgumentError, "'input'", 'twice');
      await rejects([output, [inputs[0], output], ok], ArgumentError, "'cross_attention.output'", 'Input');
      await rejects([output, inputs, { ...ok, device: 'gpu' }], ArgumentError, 'device', 'gpu');
      await rejects([output, inputs, { ...ok, association: 'best' }], ArgumentError, 'association', 'best');
      await rejects([output, inputs, { ...ok, passes: { inline: true } }], ArgumentError, 'passes', 'inline');
      await rejects(
        [output, inputs, { ...ok, passes: { keepLayout: 1 } }],
        ArgumentError,
        'passes.keepLayout',
        '1',
      );
      await rejects([output, inputs, { ...ok, constants: {} }], ArgumentError, 'constants');
      await rejects(
        [output, inputs, { ...ok, constants: new Map([[output, context]]) }],
        ArgumentError,
        'constants',
        "'cross_attention.output'",
      );
      await rejects(
        [output, inputs, { ...ok, constants: new Map([[inputs[1], null]]) }],
        ArgumentError,
        "'context'",
      );
      const wrong = own(Tensor.zeros([1, 9, 12]));
      await rejects(
        [output, inputs, { ...ok, constants: new Map([[inputs[1], wrong]]) }],
        ShapeError,
        "'context'",
        '[1, 9, 12]',
      );
      const double = own(Tensor.zeros([2, 9, 12], 'float64'));
      await rejects(
        [output, inputs, { ...ok, constants: new Map([[inputs[1], double]]) }],
        ArgumentError,
        "'context'",
        'float64',
      );
    }));

  test('rejects a key mask with values other than 0 and 1', () =>
    withGraph(async ({ layer, input, context, own }) => {
      const mask = own(Tensor.full([2, 9], 0.5));
      const tensors = [input, context, mask];
      await assertRejects(
        () => compileLayer(layer, tensors, { constant: [2] }),
        ArgumentError,
        "'mask'",
        '0.5',
      );
      const { compiled } = await compileLayer(layer, tensors);
      own(compiled);
      assertThrows(() => compiled.run(...tensors), ArgumentError, "'mask'", '0.5');
    }));

  test('rejects the graph of a disposed layer', () =>
    withGraph(async ({ layer, inputs, output }) => {
      layer.dispose();
      await assertRejects(
        () => compile(output, inputs, { inputShapes: shapes }),
        ArgumentError,
        "'cross_attention'",
        'disposed',
      );
    }));
});

describe('a graph of many layers', () => {
  const sizes = [
    { queryDim: 32, numHeads: 8, side: 8 },
    { queryDim: 64, numHeads: 8, side: 4 },
    { queryDim: 128, numHeads: 8, side: 2 },
  ];

  test('runs each layer with the shared context', () =>
    scoped(async (own) => {
      const layers = sizes.map(({ queryDim, numHeads }, seed) =>
        own(new DiffusionCrossAttention(queryDim, 24, numHeads, 8, { seed })),
      );
      const inputs = sizes.map(({ queryDim, side }, seed) =>
        own(normalTensor([2, queryDim, side, side], seed)),
      );
      const context = own(normalTensor([2, 7, 24], 9));
      const graph = composeGraph(layers);
      const compiled = own(
        await compile(graph.outputs, graph.inputs, {
          inputShapes: [...inputs.map(({ shape }) => shape), context.shape],
          constants: new Map([[graph.context, context]]),
        }),
      );
      for (const [index, layer] of layers.entries()) {
        const eager = own(layer.forwardWithContext(inputs[index], context));
        assertEager(own(compiled.runOutput(index, inputs[index])), eager, `layer ${index}`);
        assertEager(own(await compiled.runOutputAsync(index, inputs[index])), eager, `layer ${index}`);
      }
      assertThrows(() => compiled.run(...inputs), ArgumentError, '3 outputs', 'runOutput');
      assert.equal(
        compiled
          .describe()
          .split('\n')
          .filter((line) => line.startsWith('layer.')).length,
        3,
      );
      layers[1].updateParameters(0);
      assertThrows(() => compiled.runOutput(0, inputs[0]), ArgumentError, "'layer.1'");
    }));
});
