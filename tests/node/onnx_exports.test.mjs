// Files as torch.onnx.export writes them: each attention of two U-Nets with dynamic axes is found, and its
// layer computes what the model computes.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { afterEach, describe, test } from 'node:test';
import onnxProto from 'onnx-proto';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { fromOnnx, memoryInUse, Tensor } from '../support/onnx_package.mjs';
import { withSession } from '../support/onnx_run.mjs';

const { ModelProto } = onnxProto.onnx;
const read = (name) => readFile(new URL(`../goldens/onnx/${name}`, import.meta.url));

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const blocks = ['down_blocks.0.attentions.0', 'mid_block.attentions.0', 'up_blocks.1.attentions.0'];
const paths = [...blocks, 'up_blocks.1.attentions.1'].flatMap((block) =>
  ['attn1', 'attn2'].map((name) => `m.${block}.transformer_blocks.0.${name}`),
);

/** Returns the model with the inputs and outputs of these modules as further outputs. */
function withInnerValues(file, modules) {
  const model = ModelProto.decode(file);
  const { graph } = model;
  const values = modules.map((name) => {
    const [, module] = /^m\.(.*)$/.exec(name);
    const path = `/m/${module.replaceAll('.', '/')}`.replace(/\/(\d+)/g, '.$1');
    const node = (part) => graph.node.find((one) => one.name === `${path}/${part}`);
    const { input } = node('to_q/MatMul');
    return {
      name,
      input: input[0],
      context: node('to_k/MatMul').input[0],
      output: node('to_out.0/Add').output[0],
    };
  });
  const declared = new Set([...graph.input, ...graph.output].map(({ name }) => name));
  for (const value of new Set(values.flatMap(({ input, output }) => [input, output]))) {
    const shape = {
      dim: [{ dimParam: `${value}.0` }, { dimParam: `${value}.1` }, { dimParam: `${value}.2` }],
    };
    if (!declared.has(value))
      graph.output.push({ name: value, type: { tensorType: { elemType: 1, shape } } });
  }
  return { file: ModelProto.encode(model).finish(), values };
}

for (const name of ['unet-conv-baddbmm-dynamic.onnx', 'unet-linear-sdpa-dynamic.onnx']) {
  describe(name, () => {
    test('each layer computes what the model computes', () =>
      scoped(async (own) => {
        const original = await read(name);
        const imported = fromOnnx(original);
        for (const { layer } of imported) own(layer);
        assert.deepEqual(
          imported.map((one) => one.name),
          paths,
        );
        assert.deepEqual(imported.refused, []);
        const { file, values } = withInnerValues(original, paths);
        const normal = (shape, seed) => ({ data: own(normalTensor(shape, seed)).data(), shape });
        const feeds = {
          sample: normal([2, 4, 8, 4], 1),
          timestep: { data: BigInt64Array.of(981n), shape: [1] },
          context: normal([2, 7, 10], 2),
        };
        const results = await withSession(file, (run) => run(feeds));
        imported.forEach(({ name: path, kind, layer, mask }, index) => {
          assert.equal(kind, path.endsWith('attn1') ? 'self' : 'cross');
          assert.equal(mask, undefined);
          const value = values[index];
          const tensor = (from) => own(Tensor.from(from.data, [...from.shape]));
          const input = tensor(results[value.input]);
          const context = kind === 'self' ? null : tensor(feeds.context);
          const output = own(layer.forwardWithContext(input, context)).data();
          const expected = results[value.output].data;
          assertClose(output, expected, 2e-6 * maximumMagnitude(expected), path);
        });
      }));

    test('names selects attentions', () =>
      scoped(async (own) => {
        const file = await read(name);
        const imported = fromOnnx(file, { names: /mid_block.*attn2$/ });
        for (const { layer } of imported) own(layer);
        assert.deepEqual(
          imported.map((one) => one.name),
          ['m.mid_block.attentions.0.transformer_blocks.0.attn2'],
        );
      }));
  });
}
