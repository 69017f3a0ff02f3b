// toOnnx: ONNX Runtime, native and in WebAssembly, must compute the output of the layer from the file.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { normalArray } from '../../support/random.mjs';
import { declaredShapes, decodeModel, engines, withSession } from '../support/onnx_run.mjs';
import * as attention from '../support/onnx_package.mjs';

const { ArgumentError, composeGraph, DiffusionCrossAttention } = attention;
const { fromOnnx, memoryInUse, runtimeInfo, toOnnx } = attention;

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const forms = ['operators', 'com.microsoft', 'ai.onnx'];
/** Attention of ai.onnx exists since operator set 23. */
const opsetsOf = (form) => (form === 'ai.onnx' ? opsets.filter((opset) => opset >= 23) : opsets);
const opsets = [17, 18, 19, 20, 21, 22, 23, 24, 25, 26];

/** Relative to the largest output. float64: sums of fewer than 1000 terms, each rounded by 1.1e-16. */
const tolerances = { float32: 1e-5, float64: 1e-12 };

/** Creates a layer with a bias other than zero, which would hide a missing bias. */
function makeLayer(own, { queryDim = 24, contextDim = 10, heads = 3, seed = 1, ...options } = {}) {
  const layer = own(new DiffusionCrossAttention(queryDim, contextDim, heads, 8, { seed, ...options }));
  layer.setParameter('to_out.0.bias', own(normalTensor([queryDim], seed + 1, { dtype: layer.dtype })));
  return layer;
}

/** Returns {output, inputs} of a layer's graph. */
function graphOf(layer, options) {
  const inputs = [];
  return { output: layer.exportComputationGraph(inputs, options), inputs };
}

function exportLayer(layer, { form, opset, ...graphOptions } = {}) {
  const { output, inputs } = graphOf(layer, graphOptions);
  return toOnnx(output, inputs, { attention: form, opset });
}

const feed = (tensor) => ({ data: tensor.data(), shape: tensor.shape });

/** Compares the outputs of a session and the layer. Returns the ratio of the difference to the tolerance. */
async function assertSameOutput(run, layer, { batch, tokens, length, mask: maskShape = null, seed = 3 }) {
  return scoped(async (own) => {
    const { dtype, queryDim, contextDim } = layer;
    const input = own(normalTensor([batch, tokens, queryDim], seed, { dtype }));
    const context = own(normalTensor([batch, length, contextDim], seed + 1, { dtype }));
    const mask = maskShape && own(normalTensor(maskShape, seed + 2, { dtype, deviation: 2 }));
    const results = await run({
      input: feed(input),
      context: feed(context),
      ...(mask && { mask: feed(mask) }),
    });
    const [{ data, shape }] = Object.values(results);
    const expected = own(layer.forwardWithContext(input, context, { mask })).data();
    assert.deepEqual([...shape], [batch, tokens, queryDim]);
    const allowed = tolerances[dtype] * maximumMagnitude(expected);
    return assertClose(data, expected, allowed, `[${batch}, ${tokens}], ${length} keys`) / allowed;
  });
}

const sizes = [
  { batch: 1, tokens: 1, length: 1 },
  { batch: 2, tokens: 5, length: 7 },
  { batch: 3, tokens: 64, length: 77 },
];

describe('one file computes the layer for all sizes', () => {
  for (const engine of Object.keys(engines)) {
    for (const form of forms) {
      test(`${engine}, ${form}`, (context) =>
        scoped(async (own) => {
          const layer = makeLayer(own, { queryDim: 40, contextDim: 24, heads: 5 });
          const work = async (run) => {
            const used = [];
            for (const size of sizes) used.push(await assertSameOutput(run, layer, size));
            context.diagnostic(`${(Math.max(...used) * 1e-5).toExponential(1)} of the largest output`);
          };
          await withSession(exportLayer(layer, { form }), work, { engine });
        }));

      test(`${engine}, ${form}, masks of every shape`, () =>
        scoped(async (own) => {
          const layer = makeLayer(own);
          const work = async (run) => {
            for (const { batch, tokens, length } of sizes) {
              for (const bits of [0, 1, 2, 3, 4, 5, 6, 7]) {
                const full = [batch, layer.numHeads, tokens];
                const mask = [...full.map((size, axis) => (bits & (1 << axis) ? size : 1)), length];
                await assertSameOutput(run, layer, { batch, tokens, length, mask });
              }
            }
          };
          await withSession(exportLayer(layer, { form, mask: true }), work, { engine });
        }));
    }

    test(`${engine}, rows whose keys are all masked are zero`, () =>
      scoped(async (own) => {
        const { batch, tokens, length } = sizes[1];
        for (const { form, opset, dtype } of [
          { form: 'operators', opset: 17, dtype: 'float32' },
          { form: 'operators', opset: 18, dtype: 'float32' },
          { form: 'operators', opset: 18, dtype: 'float64' },
          { form: 'com.microsoft', opset: 17, dtype: 'float32' },
          { form: 'com.microsoft', opset: 20, dtype: 'float32' },
          { form: 'ai.onnx', opset: 23, dtype: 'float32' },
        ]) {
          const layer = makeLayer(own, { dtype });
          // The first image ignores all keys, the second all keys of one head and of one token.
          const { numHeads } = layer;
          const values = normalArray(batch * numHeads * tokens * length, 5, { dtype });
          values.fill(-Infinity, 0, numHeads * tokens * length);
          values.fill(-Infinity, numHeads * tokens * length, (numHeads + 1) * tokens * length);
          for (let head = 0; head < numHeads; ++head) {
            const row = (numHeads + head) * tokens + 2;
            values.fill(-Infinity, row * length, (row + 1) * length);
          }
          const mask = own(attention.Tensor.from(values, [batch, numHeads, tokens, length], dtype));
          const input = own(normalTensor([batch, tokens, 24], 6, { dtype }));
          const context = own(normalTensor([batch, length, 10], 7, { dtype }));
          const expected = own(layer.forwardWithContext(input, context, { mask })).data();
          const feeds = { input: feed(input), context: feed(context), mask: feed(mask) };
          const work = async (run) => Object.values(await run(feeds))[0].data;
          const exact = dtype === 'float64';
          const data = await withSession(exportLayer(layer, { form, opset, mask: true }), work, {
            engine,
            exact,
          });
          const bias = own(layer.getParameter('to_out.0.bias')).data();
          assertSameBits(data.slice(0, 24), bias, `${form}, opset ${opset}: only the bias remains`);
          const allowed = tolerances[dtype] * maximumMagnitude(expected);
          assertClose(data, expected, allowed, `${form}, opset ${opset}, ${dtype}`);
        }
      }));

    test(`${engine}, float64`, (context) =>
      scoped(async (own) => {
        const layer = makeLayer(own, { dtype: 'float64' });
        const work = async (run) => {
          const used = [];
          for (const size of sizes) used.push(await assertSameOutput(run, layer, size));
          context.diagnostic(`${(Math.max(...used) * 1e-12).toExponential(1)} of the largest output`);
        };
        await withSession(exportLayer(layer), work, { engine, exact: true });
      }));
  }

  for (const form of forms) {
    test(`random layers, ${form}`, async (context) => {
      let worst = 0;
      const size = fc.integer({ min: 1, max: 24 });
      const drawn = fc.record({
        heads: fc.integer({ min: 1, max: 6 }),
        headDim: size,
        contextDim: size,
        batch: fc.integer({ min: 1, max: 3 }),
        tokens: size,
        length: size,
        scale: fc.constantFrom(undefined, 0.5, form === 'ai.onnx' ? 0.25 : -0.25),
        seed: fc.integer({ min: 1, max: 2 ** 20 }),
        opset: fc.constantFrom(...opsetsOf(form)),
      });
      await fc.assert(
        fc.asyncProperty(drawn, ({ heads, headDim, contextDim, scale, seed, opset, ...sizes }) =>
          scoped(async (own) => {
            const layer = makeLayer(own, { queryDim: heads * headDim, contextDim, heads, seed, scale });
            const work = (run) => assertSameOutput(run, layer, { ...sizes, seed: seed + 2 });
            worst = Math.max(worst, await withSession(exportLayer(layer, { form, opset }), work));
          }),
        ),
        runs(60),
      );
      context.diagnostic(`${(worst * 1e-5).toExponential(1)} of the largest output at most`);
    });
  }
});

describe('the file', () => {
  test('states its producer and operator sets', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const versions = [8, 8, 9, 9, 10, 10, 11, 12, 13, 13];
      opsets.forEach((opset, index) => {
        for (const form of forms.filter((one) => opsetsOf(one).includes(opset))) {
          const model = decodeModel(exportLayer(layer, { form, opset }));
          assert.equal(model.producerName, 'diffusion-cross-attention');
          assert.equal(model.producerVersion, runtimeInfo.version);
          assert.equal(Number(model.irVersion), versions[index]);
          const imports = model.opsetImport.map(({ domain, version }) => [domain, Number(version)]);
          const microsoft = form === 'com.microsoft' ? [['com.microsoft', 1]] : [];
          assert.deepEqual(imports, [['', opset], ...microsoft]);
        }
      });
      const defaultOpset = (form) => Number(decodeModel(exportLayer(layer, { form })).opsetImport[0].version);
      assert.deepEqual(forms.map(defaultOpset), [17, 17, 23]);
    }));

  test('has symbols for sizes that are known at run time only', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      for (const form of forms) {
        const { graph } = decodeModel(exportLayer(layer, { form, mask: true }));
        assert.deepEqual(declaredShapes(graph.input), {
          input: ['batch', 'tokens', 24],
          context: ['batch', 'contextLength', 10],
          mask: ['mask.batch', 'mask.heads', 'mask.tokens', 'contextLength'],
        });
        assert.deepEqual(declaredShapes(graph.output), {
          'cross_attention.output': ['batch', 'tokens', 24],
        });
        for (const { type } of [...graph.input, ...graph.output]) assert.equal(type.tensorType.elemType, 1);
      }
      const wide = decodeModel(exportLayer(makeLayer(own, { dtype: 'float64' })));
      for (const { type } of wide.graph.input) assert.equal(type.tensorType.elemType, 11);
    }));

  test('contains the exact weights under their names', () =>
    scoped((own) => {
      for (const [dtype, form] of [
        ['float32', 'operators'],
        ['float32', 'com.microsoft'],
        ['float32', 'ai.onnx'],
        ['float64', 'operators'],
      ]) {
        const layer = makeLayer(own, { dtype });
        const { graph } = decodeModel(exportLayer(layer, { form, name: 'unet.attn2' }));
        const tensors = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
        for (const name of layer.getParameterNames()) {
          const tensor = tensors.get(`unet.attn2.${name}`);
          const parameter = own(layer.getParameter(name));
          const { constructor } = parameter.data();
          assert.deepEqual(tensor.dims.map(Number), parameter.shape);
          assert.equal(tensor.dataType, dtype === 'float32' ? 1 : 11);
          const values = new constructor(Uint8Array.from(tensor.rawData).buffer);
          assertSameBits(values, parameter.data(), name);
        }
      }
    }));

  test('contains only standard operators, or one operator for the whole attention', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const typesOf = (options) =>
        decodeModel(exportLayer(layer, options)).graph.node.map(({ domain, opType }) => `${domain}${opType}`);
      const plain = typesOf({ form: 'operators' });
      assert.deepEqual(
        [...new Set(plain)].sort(),
        ['Add', 'MatMul', 'Mul', 'Reshape', 'Softmax', 'Transpose'].sort(),
      );
      const linear = ['Transpose', 'MatMul'];
      for (const [form, operator] of [
        ['com.microsoft', 'com.microsoftMultiHeadAttention'],
        ['ai.onnx', 'Attention'],
      ]) {
        const all = [...linear, ...linear, ...linear, ...linear, operator, 'Add'];
        assert.deepEqual(typesOf({ form }).sort(), all.sort());
      }
    }));

  test('names are unique, also if two layers have the same name', () =>
    scoped(async (own) => {
      const [first, second] = [1, 2].map((seed) => graphOf(makeLayer(own, { seed })));
      const inputs = [...first.inputs, ...second.inputs];
      const { graph } = decodeModel(toOnnx([first.output, second.output], inputs));
      const names = [graph.input, graph.initializer, graph.node].flat().map(({ name }) => name);
      assert.equal(new Set(names).size, names.length);
      assert.deepEqual(Object.keys(declaredShapes(graph.input)), [
        'input',
        'context',
        'input_2',
        'context_2',
      ]);
    }));
});

describe('several layers in one file', () => {
  for (const form of forms) {
    test(`layers share a context, ${form}`, () =>
      scoped(async (own) => {
        const layers = [
          makeLayer(own, { queryDim: 24, heads: 3 }),
          makeLayer(own, { queryDim: 16, heads: 2, seed: 5 }),
          makeLayer(own, { queryDim: 6, heads: 1, seed: 7 }),
        ];
        const names = ['down', 'mid', 'up'];
        const { inputs, outputs } = composeGraph(layers, { names });
        const file = toOnnx(outputs, inputs, { attention: form });
        const shapes = declaredShapes(decodeModel(file).graph.input);
        assert.deepEqual(shapes['input.1'], ['batch', 'tokens.1', 16]);
        const context = own(normalTensor([2, 9, 10], 11));
        const images = layers.map(({ queryDim }, index) => own(normalTensor([2, 4 + index, queryDim], 12)));
        const feeds = Object.fromEntries(images.map((image, index) => [`input.${index}`, feed(image)]));
        const results = await withSession(file, (run) => run({ ...feeds, context: feed(context) }));
        layers.forEach((layer, index) => {
          const expected = own(layer.forwardWithContext(images[index], context)).data();
          const { data } = results[`${names[index]}.output`];
          assertClose(data, expected, 1e-5 * maximumMagnitude(expected), names[index]);
        });
        const imported = fromOnnx(file);
        imported.forEach(({ layer }) => own(layer));
        assert.deepEqual(
          imported.map(({ name, kind }) => [name, kind]),
          names.map((name) => [name, 'cross']),
        );
        imported.forEach(({ layer }, index) =>
          assertSameBits(layer.getParameters(), layers[index].getParameters(), names[index]),
        );
      }));
  }

  test('an Input and a Constant are valid outputs', () =>
    scoped(async (own) => {
      const layer = makeLayer(own);
      const { output, inputs } = graphOf(layer);
      const bias = output.inputs[1];
      assert.equal(bias.op, 'Constant');
      const file = toOnnx([output, inputs[0], bias], inputs);
      const input = own(normalTensor([1, 2, 24], 5));
      const context = own(normalTensor([1, 3, 10], 6));
      const results = await withSession(file, (run) => run({ input: feed(input), context: feed(context) }));
      const [, copy, constant] = Object.values(results);
      assertSameBits(copy.data, input.data(), 'the input');
      assertSameBits(constant.data, own(layer.getParameter('to_out.0.bias')).data(), 'the bias');
    }));
});

describe('fromOnnx after toOnnx', () => {
  const cases = [
    { form: 'operators', dtype: 'float32' },
    { form: 'operators', dtype: 'float64' },
    { form: 'com.microsoft', dtype: 'float32' },
    { form: 'ai.onnx', dtype: 'float32' },
  ];
  for (const { form, dtype } of cases) {
    for (const mask of [false, true]) {
      test(`returns the same layer, bit for bit: ${form}, ${dtype}${mask ? ', with a mask' : ''}`, () =>
        scoped((own) => {
          for (const scale of [undefined, 0.3]) {
            for (const heads of [1, 3, 24]) {
              const layer = makeLayer(own, { dtype, heads, ...(scale !== undefined && { scale }) });
              const file = exportLayer(layer, { form, mask, name: 'mid_block.attn2' });
              const [{ name, kind, layer: imported }] = fromOnnx(file);
              own(imported);
              assert.deepEqual([name, kind, imported.dtype], ['mid_block.attn2', 'cross', dtype]);
              assert.deepEqual(
                [imported.queryDim, imported.contextDim, imported.numHeads],
                [layer.queryDim, layer.contextDim, heads],
              );
              assertSameBits(imported.getParameters(), layer.getParameters(), 'parameters');
              const input = own(normalTensor([2, 5, 24], 3, { dtype }));
              const context = own(normalTensor([2, 7, 10], 4, { dtype }));
              const output = own(imported.forwardWithContext(input, context)).data();
              const expected = own(layer.forwardWithContext(input, context)).data();
              // A custom scale is stored in the layer's precision, which rounds it once more.
              if (scale === undefined) assertSameBits(output, expected, 'outputs');
              else assertClose(output, expected, tolerances[dtype] * maximumMagnitude(expected), 'outputs');
            }
          }
        }));
    }
  }
});

test('NaN in the input stays visible in a model with a mask', () =>
  scoped(async (own) => {
    const layer = makeLayer(own);
    const input = Float32Array.from({ length: 5 * 24 }, (_, index) => (index === 30 ? NaN : 1));
    const feeds = {
      input: { data: input, shape: [1, 5, 24] },
      context: feed(own(normalTensor([1, 7, 10], 7))),
      mask: { data: new Float32Array(7), shape: [1, 1, 1, 7] },
    };
    const { data } = await withSession(
      exportLayer(layer, { mask: true }),
      async (run) => Object.values(await run(feeds))[0],
    );
    assert.ok(Number.isNaN(data[24]) && Number.isFinite(data[0]));
  }));

describe('refuses', () => {
  const refuse = (work, ...parts) => assertThrows(work, ArgumentError, ...parts);

  test('missing, duplicate and invalid inputs', () =>
    scoped((own) => {
      const { output, inputs } = graphOf(makeLayer(own));
      const [input, context] = inputs;
      refuse(() => toOnnx(output, [input]), 'inputs', '"context"');
      refuse(() => toOnnx(output, []), 'inputs');
      refuse(() => toOnnx(output, [input, context, input]), 'inputs', '"input"', 'twice');
      refuse(() => toOnnx(output, [input, context, output]), 'inputs[2]', output.name, 'an Input');
      refuse(() => toOnnx(output, [input, context, {}]), 'inputs[2]', 'a ComputationNode');
      for (const wrong of [null, undefined, 5, {}, input]) refuse(() => toOnnx(output, wrong), 'inputs');
      const other = graphOf(makeLayer(own)).inputs;
      refuse(() => toOnnx(output, other), 'inputs', '"input"');
    }));

  test('missing, duplicate and invalid outputs', () =>
    scoped((own) => {
      const { output, inputs } = graphOf(makeLayer(own));
      for (const wrong of [null, undefined, 5, 'output', {}]) {
        refuse(() => toOnnx(wrong, inputs), 'output', 'a ComputationNode');
      }
      refuse(() => toOnnx([], inputs), 'output', 'a ComputationNode');
      refuse(() => toOnnx([output, null], inputs), 'output[1]', 'a ComputationNode');
      refuse(() => toOnnx([output, output], inputs), 'output', output.name, 'twice');
    }));

  test('invalid options', () =>
    scoped((own) => {
      const { output, inputs } = graphOf(makeLayer(own));
      for (const opset of [16, 27, 17.5, '17', NaN, null, Infinity]) {
        refuse(() => toOnnx(output, inputs, { opset }), 'opset', 'integer', '17', '26');
      }
      refuse(() => toOnnx(output, inputs, { attention: 'ai.onnx', opset: 22 }), 'opset', '22', 'from 23');
      for (const form of ['fused', null, 5]) {
        refuse(
          () => toOnnx(output, inputs, { attention: form }),
          'attention',
          '"operators"',
          '"com.microsoft"',
        );
      }
      refuse(() => toOnnx(output, inputs, 5), 'options', 'an object');
    }));

  test('attention that the operators cannot express', () =>
    scoped((own) => {
      for (const form of ['com.microsoft', 'ai.onnx']) {
        const named = `attention: '${form}'`;
        refuse(
          () => exportLayer(makeLayer(own, { dtype: 'float64' }), { form }),
          named,
          'float64',
          'float32',
        );
        refuse(() => exportLayer(makeLayer(own, { scale: 0 }), { form }), named, 'scale 0');
      }
      const negative = makeLayer(own, { scale: -0.25 });
      refuse(() => exportLayer(negative, { form: 'ai.onnx' }), "attention: 'ai.onnx'", '-0.25', 'positive');
    }));

  test('a parameter of a disposed layer', () => {
    const layer = new DiffusionCrossAttention(8, 4, 2, 8);
    const { output, inputs } = graphOf(layer);
    layer.dispose();
    refuse(() => toOnnx(output, inputs), 'disposed');
  });

  test('more than 2 GiB of weights', () =>
    scoped((own) => {
      const layer = own(new DiffusionCrossAttention(1024, 1024, 8, 8, { seed: 1 }));
      const { inputs, outputs } = composeGraph(Array(128).fill(layer));
      refuse(() => toOnnx(outputs, inputs), /21[45]\d{7} bytes/, '2147483647');
    }));

  test('nothing in a model of 100 layers', () =>
    scoped((own) => {
      const layer = own(new DiffusionCrossAttention(4, 4, 1, 2, { seed: 1 }));
      const { inputs, outputs } = composeGraph(Array(100).fill(layer));
      const { node, output } = decodeModel(toOnnx(outputs, inputs)).graph;
      assert.equal(output.length, 100);
      assert.ok(node.length > 1000, String(node.length));
    }));
});
