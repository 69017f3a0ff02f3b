// fromOnnx: models in the forms of PyTorch's exporters become layers with their weights, heads and scale. The
// outputs are compared with those of ONNX Runtime, which runs the same model.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { ModelBuilder } from '../support/onnx_builder.mjs';
import { withSession } from '../support/onnx_run.mjs';
import {
  addAttention,
  attentionStyles,
  drawParameters,
  makeModel,
  path,
  standard,
  torchModel,
} from '../support/onnx_torch.mjs';
import { ArgumentError, DiffusionCrossAttention, fromOnnx, memoryInUse } from '../support/onnx_package.mjs';
import { arrayTypeOf, normalArray } from '../../support/random.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

/** Imports layers and registers them with `own` of scoped. */
function importAll(own, file, options) {
  const imported = fromOnnx(file, options);
  for (const { layer } of imported) own(layer);
  return imported;
}

const flat = ({ query, key, value, output, bias }) => [...query, ...key, ...value, ...output, ...bias];

/** Relative to the largest output. float64: sums of fewer than 1000 terms, each rounded by 1.1e-16. */
const tolerances = { float32: 1e-5, float64: 1e-12 };

/**
 * Imports the model, checks the layer and compares its output with that of ONNX Runtime. Returns the relative
 * difference.
 */
async function assertImported(model, { isNamed = true } = {}) {
  const {
    file,
    queryDim,
    contextDim,
    heads,
    parameters,
    isSelf = false,
    hasMask = false,
    sizes,
    type,
  } = model;
  const dtype = type === 'double' ? 'float64' : 'float32';
  return scoped(async (own) => {
    const imported = importAll(own, file);
    assert.equal(imported.length, 1);
    const [{ name, kind, layer }] = imported;
    assert.ok(layer instanceof DiffusionCrossAttention);
    if (isNamed) assert.equal(name, path);
    assert.deepEqual([kind, layer.dtype], [isSelf ? 'self' : 'cross', dtype]);
    assert.deepEqual([layer.queryDim, layer.contextDim, layer.numHeads], [queryDim, contextDim, heads]);
    assertSameBits(layer.getParameters(), arrayTypeOf(dtype).from(flat(parameters)), 'parameters');

    const { batch, tokens, length } = sizes;
    const input = own(normalTensor([batch, tokens, queryDim], model.seed + 6, { dtype }));
    const context = isSelf ? null : own(normalTensor([batch, length, contextDim], model.seed + 7, { dtype }));
    const mask = hasMask ? own(normalTensor([1, 1, 1, length], model.seed + 8, { dtype })) : null;
    const output = own(layer.forwardWithContext(input, context, { mask })).data();
    const feeds = { input: { data: input.data(), shape: input.shape } };
    if (!isSelf) feeds.context = { data: context.data(), shape: context.shape };
    if (hasMask) feeds.mask = spreadMask(model, mask.data());
    const exact = dtype === 'float64';
    const expected = await withSession(file, async (run) => (await run(feeds)).output.data, { exact });
    const allowed = tolerances[dtype] * maximumMagnitude(expected);
    return (
      assertClose(output, expected, allowed, JSON.stringify({ ...model, file: null, parameters: null })) /
      allowed
    );
  });
}

/** Returns the mask in the shape that the model expects. */
function spreadMask({ attention, sizes: { tokens, length } }, values) {
  if (attention === 'bmm') return { data: values, shape: [1, 1, length] };
  const rows = /operator|microsoft/.test(attention) ? tokens : 1;
  const data = values.constructor.from({ length: rows * length }, (_, index) => values[index % length]);
  return { data, shape: [1, 1, rows, length] };
}

describe('models in the forms of exporters', () => {
  for (const attention of Object.keys(attentionStyles)) {
    for (const projection of ['matmul', 'transpose', 'gemm']) {
      for (const shapes of ['dynamic', 'dynamo', 'static']) {
        test(`${attention}, ${projection}, ${shapes} shapes`, async () => {
          await assertImported(makeModel({ attention, projection, shapes }));
        });
      }
    }
    test(`${attention}, with a mask`, () => assertImported(makeModel({ attention, hasMask: true })));
    test(`${attention}, self-attention`, () => assertImported(makeModel({ attention, isSelf: true })));
    test(`${attention}, one head`, () => assertImported(makeModel({ attention, heads: 1 })));
    test(`${attention}, heads of one channel`, () => assertImported(makeModel({ attention, heads: 24 })));
    test(`${attention}, constants as initializers`, () =>
      assertImported(makeModel({ attention, constants: 'initializers', biasFirst: false, noise: true })));
  }

  for (const attention of ['sdpa', 'old sdpa', 'hand', 'einsum']) {
    test(`${attention}, float64`, async (context) => {
      const used = await assertImported(makeModel({ attention, type: 'double' }));
      context.diagnostic(`${(used * tolerances.float64).toExponential(1)} of the largest output`);
    });
  }

  for (const type of ['float', 'double', 'float16', 'bfloat16']) {
    for (const storage of ['raw', 'listed']) {
      test(`weights in ${type}, ${storage}`, () =>
        assertImported(makeModel({ type, storage, attention: 'hand' })));
    }
  }

  test('random shapes and styles', async (context) => {
    let worst = 0;
    const size = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 }));
    const drawn = fc.record({
      headDim: size,
      heads: fc.integer({ min: 1, max: 6 }),
      contextDim: size,
      sizes: fc.record({ batch: fc.integer({ min: 1, max: 3 }), tokens: size, length: size }),
      attention: fc.constantFrom(...Object.keys(attentionStyles)),
      projection: fc.constantFrom('matmul', 'transpose', 'gemm'),
      shapes: fc.constantFrom('dynamic', 'dynamo', 'static'),
      constants: fc.constantFrom('nodes', 'initializers'),
      storage: fc.constantFrom('raw', 'listed'),
      noise: fc.boolean(),
      biasFirst: fc.boolean(),
      isSelf: fc.boolean(),
      hasMask: fc.boolean(),
      seed: fc.integer({ min: 1, max: 2 ** 20 }),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ headDim, ...options }) => {
        const sizes = options.isSelf ? { ...options.sizes, length: options.sizes.tokens } : options.sizes;
        const model = makeModel({ ...options, sizes, queryDim: options.heads * headDim });
        worst = Math.max(worst, await assertImported(model));
      }),
      runs(150),
    );
    context.diagnostic(`${(worst * tolerances.float32).toExponential(1)} of the largest output at most`);
  });
});

describe('models optimised and saved by ONNX Runtime', () => {
  let folder;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'cross-attention-onnx-'))));
  after(() => rm(folder, { recursive: true }));

  for (const attention of Object.keys(attentionStyles)) {
    for (const shapes of ['dynamic', 'static']) {
      test(`${attention}, ${shapes} shapes`, async () => {
        const model = makeModel({ attention, shapes, hasMask: true });
        const optimizedModelFilePath = join(folder, `${attention} ${shapes}.onnx`);
        await withSession(model.file, () => {}, {
          options: { optimizedModelFilePath, graphOptimizationLevel: 'extended' },
        });
        // Fused nodes have new names, and the parameters of some nodes are named by numbers.
        await assertImported({ ...model, file: await readFile(optimizedModelFilePath) }, { isNamed: false });
      });
    }
  }
});

describe('several layers', () => {
  /**
   * A transformer block after a convolution over an image: x += attn1(norm(x)), x += attn2(norm(x), context).
   */
  function blockModel({ projection = 'matmul' } = {}) {
    const { queryDim, contextDim, heads } = standard;
    const builder = new ModelBuilder();
    const image = builder.input('sample', ['batch', queryDim, 'height', 'width']);
    const context = builder.input('encoder_hidden_states', ['batch', 'length', contextDim]);
    const kernel = builder.initializer(
      'proj_in.weight',
      [queryDim, queryDim, 1, 1],
      normalArray(queryDim ** 2, 9),
    );
    const projected = builder.node('Conv', [image, kernel]);
    const rows = builder.node('Transpose', [projected], { attributes: { perm: [0, 2, 3, 1] } });
    let x = builder.node('Reshape', [rows, builder.constant([0, -1, queryDim])]);
    const ones = builder.initializer('norm.weight', [queryDim], new Float32Array(queryDim).fill(1));
    const layers = [
      { module: 'attn1', isSelf: true },
      { module: 'attn2', isSelf: false },
    ].map(({ module, isSelf }, index) => {
      const norm = builder.node('LayerNormalization', [x, ones], { attributes: { axis: -1 } });
      const dims = { queryDim, contextDim: isSelf ? queryDim : contextDim };
      const parameters = drawParameters(dims, 20 * (index + 1));
      const options = { ...standard, ...dims, projection, path: `block.0.${module}`, parameters };
      const added = addAttention(builder, { ...options, input: norm, context: isSelf ? norm : context });
      x = builder.node('Add', [added, x]);
      return { module, isSelf, parameters };
    });
    builder.node('Softmax', [x], { output: 'classes', attributes: { axis: -1 } });
    builder.output('classes', ['batch', 'rows', queryDim]);
    return { file: builder.encode(), layers, heads };
  }

  for (const projection of ['matmul', 'transpose', 'gemm']) {
    test(`layers are found in order, ${projection}`, () =>
      scoped((own) => {
        const { file, layers } = blockModel({ projection });
        const imported = importAll(own, file);
        assert.deepEqual(
          imported.map(({ name, kind }) => [name, kind]),
          layers.map(({ module, isSelf }) => [`block.0.${module}`, isSelf ? 'self' : 'cross']),
        );
        imported.forEach(({ layer }, index) =>
          assertSameBits(
            layer.getParameters(),
            Float32Array.from(flat(layers[index].parameters)),
            'parameters',
          ),
        );
      }));
  }

  test('layers without names are named by their index', () =>
    scoped((own) => {
      const builder = new ModelBuilder();
      const input = builder.input('input', [1, 'tokens', 24]);
      const context = builder.input('context', [1, 'length', 10]);
      const parameters = drawParameters(standard, 1);
      for (const prefix of ['a', 'b']) {
        addAttention(builder, { ...standard, path: prefix, parameters, input, context });
        builder.graph.node.forEach((node) => (node.name = ''));
        builder.graph.initializer.forEach((tensor, index) => {
          const name = `${prefix}${index}`;
          for (const node of builder.graph.node) {
            node.input = node.input.map((value) => (value === tensor.name ? name : value));
          }
          tensor.name = name;
        });
      }
      const names = importAll(own, builder.encode()).map(({ name }) => name);
      assert.deepEqual(names, ['attention_0', 'attention_1']);
    }));
});

describe('options and arguments', () => {
  test('dtype selects the precision of the layer for all files', () =>
    scoped((own) => {
      for (const [type, dtype] of [
        ['float', 'float64'],
        ['double', 'float32'],
      ]) {
        const { file, parameters } = makeModel({ type, attention: 'hand' });
        const [{ layer }] = importAll(own, file, { dtype });
        assert.equal(layer.dtype, dtype);
        const rounded = Float32Array.from(flat(parameters));
        assertSameBits(layer.getParameters(), arrayTypeOf(dtype).from(rounded), 'parameters');
      }
    }));

  test('accepts an ArrayBuffer, a Buffer, a subarray and shared memory', () =>
    scoped((own) => {
      const { file, parameters } = makeModel({});
      const longer = new Uint8Array(file.length + 7);
      longer.set(file, 3);
      const shared = new Uint8Array(new SharedArrayBuffer(file.length));
      shared.set(file);
      for (const source of [
        file.slice().buffer,
        Buffer.from(file),
        longer.subarray(3, 3 + file.length),
        shared,
      ]) {
        const [{ layer }] = importAll(own, source);
        assertSameBits(layer.getParameters(), Float32Array.from(flat(parameters)), 'parameters');
      }
    }));

  test('refuses invalid files and options', () => {
    const { file } = makeModel({});
    for (const wrong of [null, undefined, 5, 'model.onnx', [8], {}]) {
      assertThrows(() => fromOnnx(wrong), ArgumentError, 'file');
    }
    for (const dtype of ['float16', 5, null]) {
      assertThrows(() => fromOnnx(file, { dtype }), ArgumentError, 'dtype');
    }
    assertThrows(() => fromOnnx(file, 5), ArgumentError, 'options');
  });

  test('the scale of the file is the scale of the layer', () =>
    scoped((own) => {
      for (const attention of ['bmm', 'old sdpa', 'hand', 'einsum', 'operator', 'microsoft']) {
        for (const scale of [0.25, 0.01, 3]) {
          const [{ layer }] = importAll(own, makeModel({ attention, scale }).file);
          const found = Number(layer.getDiagnostics().scale);
          // Diagnostics have six digits.
          assert.ok(Math.abs(found / scale - 1) < 1e-5, `${attention}: ${found}, expected ${scale}`);
        }
      }
    }));

  for (const type of ['float', 'double']) {
    test(`a rounded scale of 1/√headDim is the default, ${type}`, () =>
      scoped((own) => {
        const dtype = type === 'double' ? 'float64' : 'float32';
        const input = own(normalTensor([5, 24], 3, { dtype }));
        const context = own(normalTensor([7, 10], 4, { dtype }));
        for (const heads of [1, 2, 3, 4, 6, 8, 12, 24]) {
          const usual = own(new DiffusionCrossAttention(24, 10, heads, 64, { dtype }));
          for (const attention of Object.keys(attentionStyles)) {
            // These styles store the scale in float32, whatever the type.
            if (type === 'double' && ['bmm', 'operator', 'microsoft'].includes(attention)) continue;
            const [{ layer }] = importAll(own, makeModel({ attention, type, heads }).file);
            usual.setParameters(layer.getParameters());
            const output = own(layer.forwardWithContext(input, context)).data();
            const expected = own(usual.forwardWithContext(input, context)).data();
            assertSameBits(output, expected, `${attention}, ${heads} heads`);
          }
        }
      }));
  }
});

test('an output projection without a bias has a bias of zeros', () =>
  scoped((own) => {
    const model = makeModel({});
    const parameters = { ...model.parameters, bias: null };
    const [{ layer }] = importAll(own, torchModel({ ...model, parameters }));
    const bias = own(layer.getParameter('to_out.0.bias')).data();
    assertSameBits(bias, new Float32Array(24), 'bias');
  }));

test('a bias of zeros in a projection is ignored, others are imported', () =>
  scoped((own) => {
    for (const attention of ['sdpa', 'bmm', 'operator']) {
      for (const projection of ['matmul', 'gemm']) {
        const model = makeModel({ attention, projection, projectionBias: {} });
        const [{ layer }] = importAll(own, model.file);
        assertSameBits(layer.getParameters(), Float32Array.from(flat(model.parameters)), 'parameters');
        for (const name of ['query', 'key', 'value']) {
          const { file } = makeModel({ attention, projection, projectionBias: { [name]: 0.5 } });
          const [{ layer: biased }] = importAll(own, file);
          for (const role of ['q', 'k', 'v']) {
            const expected = role === name[0] ? 0.5 : 0;
            const bias = own(biased.getParameter(`to_${role}.bias`)).data();
            assert.ok(
              bias.every((value) => value === expected),
              `to_${role}.bias`,
            );
          }
        }
      }
    }
  }));

test('layers do not depend on the bytes of the file', () =>
  scoped((own) => {
    const { file } = makeModel({});
    const copy = file.slice();
    const [{ layer }] = importAll(own, copy);
    const before = layer.getParameters();
    copy.fill(0);
    assertSameBits(layer.getParameters(), before, 'parameters');
  }));
