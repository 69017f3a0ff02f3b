// Builds models of one attention whose operators a test chooses, and compares the imported layer with ONNX
// Runtime, which runs the same model.
import assert from 'node:assert/strict';
import { normalTensor, scoped } from './cases.mjs';
import { assertClose, maximumMagnitude } from './compare.mjs';
import { makeTensor, ModelBuilder } from './onnx_builder.mjs';
import { withSession } from './onnx_run.mjs';
import { fromOnnx } from './onnx_package.mjs';
import { normalArray } from '../../support/random.mjs';

export const custom = {
  batch: 2,
  tokens: 5,
  length: 7,
  queryDim: 12,
  contextDim: 10,
  heads: 3,
  isSelf: false,
};

/** Draws a weight of a projection for which scores are of order one. */
export const drawWeight = (rows, columns, seed) =>
  normalArray(rows * columns, seed, { deviation: 1 / Math.sqrt(columns) });

/** Helpers to add nodes to a model. */
export class GraphWriter extends ModelBuilder {
  op(type, input, attributes = {}) {
    return this.node(type, input, { attributes });
  }
  float(values, dims = [values.length]) {
    return this.constant(values, { type: 'float', dims });
  }
  scalar(value) {
    return this.float([value], []);
  }
  integers(...values) {
    return this.constant(values);
  }
  /** Adds a list of booleans, as a constant. */
  booleans(values, dims) {
    const name = `booleans_${++this.count}`;
    this.graph.initializer.push({ name, dataType: 9, dims, rawData: Uint8Array.from(values, Number) });
    return name;
  }
  /** Adds a node with several outputs; returns their names. */
  outputs(type, input, count, attributes = {}) {
    const first = this.op(type, input, attributes);
    const node = this.graph.node.at(-1);
    node.output = Array.from({ length: count }, (_, index) => `${first}_${index}`);
    return node.output;
  }
}

/**
 * Returns a model: input [B, N, C], context [B, L, D], to output [B, N, C]. Each step may be replaced:
 * `project(writer, role, value, weight)` returns the result of a projection; `query`, `key` and `value`
 * change operands [B, heads, rows, channels]; `scores(writer, scores, names)` changes the scaled scores;
 * `softmax` computes probabilities; `probabilities` changes them; `attended` changes the result [B, heads,
 * N, channels].
 */
export function customModel(options = {}) {
  const all = { ...custom, dynamic: false, opset: 17, ...options };
  const { batch, tokens, queryDim, heads, isSelf } = all;
  const length = isSelf ? tokens : all.length;
  const contextDim = isSelf ? queryDim : all.contextDim;
  const headDim = queryDim / heads;
  const writer = new GraphWriter({ opset: all.opset, irVersion: all.irVersion ?? 8 });
  const sizes = all.dynamic ? ['batch', 'tokens', 'length'] : [batch, tokens, length];
  const input = writer.input('input', [sizes[0], sizes[1], queryDim]);
  const context = isSelf ? input : writer.input('context', [sizes[0], sizes[2], contextDim]);
  const weights = {
    query: drawWeight(queryDim, queryDim, 1),
    key: drawWeight(queryDim, contextDim, 2),
    value: drawWeight(queryDim, contextDim, 3),
    output: drawWeight(queryDim, queryDim, 4),
  };
  const columns = (values, rows) => {
    const width = values.length / rows;
    return values.map((_, index) => values[(index % rows) * width + Math.floor(index / rows)]);
  };
  const named = (role, values, inFeatures) =>
    writer.initializer(`block.attn.to_${role}.weight`, [inFeatures, queryDim], columns(values, queryDim));
  const matMul = (_, role, value, weight) => writer.op('MatMul', [value, weight]);
  const project = all.project ?? matMul;
  const split = (value) =>
    writer.op('Transpose', [writer.op('Reshape', [value, writer.integers(0, -1, heads, headDim)])], {
      perm: [0, 2, 1, 3],
    });
  const same = (_, value) => value;
  const {
    query = same,
    key = same,
    value = same,
    scores = same,
    probabilities = same,
    attended = same,
  } = all;
  const q = query(writer, split(project(writer, 'query', input, named('q', weights.query, queryDim))));
  const k = key(writer, split(project(writer, 'key', context, named('k', weights.key, contextDim))));
  const v = value(writer, split(project(writer, 'value', context, named('v', weights.value, contextDim))));
  const products = writer.op('MatMul', [q, writer.op('Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const scaled = writer.op('Mul', [products, writer.scalar(1 / Math.sqrt(headDim))]);
  const masked = scores(writer, scaled, { q, k, v, input, context, products });
  const softmax = all.softmax ?? ((_, value) => writer.op('Softmax', [value], { axis: -1 }));
  const used = probabilities(writer, softmax(writer, masked), { scores: masked });
  const sum = attended(writer, writer.op('MatMul', [used, v]));
  const rows = writer.op('Transpose', [sum], { perm: [0, 2, 1, 3] });
  const joined = writer.op('Reshape', [rows, writer.integers(0, -1, queryDim)]);
  const projected = writer.op('MatMul', [joined, named('out.0', weights.output, queryDim)]);
  writer.node('Identity', [projected], { output: 'output' });
  writer.output('output', [sizes[0], sizes[1], queryDim]);
  return { file: Uint8Array.from(writer.encode()), ...all, length, contextDim, weights, writer };
}

/**
 * Imports the model's only attention and compares its output with that of ONNX Runtime. `feeds`: further
 * inputs of the model; `mask`: of the call, if the model computes one from its inputs; `exact`: see
 * withSession. Returns what was imported.
 */
export async function assertSameAsRuntime(
  model,
  { feeds = {}, mask = null, options, exact = false, tolerance = 2e-6 } = {},
) {
  const { file, batch, tokens, length, queryDim, contextDim, isSelf } = model;
  return scoped(async (own) => {
    const imported = fromOnnx(file, options);
    for (const attention of imported) {
      own(attention.layer);
      if (attention.mask !== undefined) own(attention.mask);
    }
    assert.equal(imported.length, 1);
    assert.deepEqual(imported.refused, []);
    const [attention] = imported;
    const { dtype } = attention.layer;
    const input = own(normalTensor([batch, tokens, queryDim], 21, { dtype }));
    const context = isSelf ? null : own(normalTensor([batch, length, contextDim], 22, { dtype }));
    const feed = (tensor) => ({ data: Float32Array.from(tensor.data()), shape: tensor.shape });
    const given = { input: feed(input), ...feeds };
    if (!isSelf) given.context = feed(context);
    const used = mask === null ? (attention.mask ?? null) : own(mask);
    const output = own(attention.layer.forwardWithContext(input, context, { mask: used })).data();
    const expected = await withSession(file, async (run) => (await run(given)).output.data, { exact });
    assertClose(output, expected, tolerance * maximumMagnitude(expected), 'the output of the layer');
    return {
      ...attention,
      mask: attention.mask && { shape: attention.mask.shape, data: attention.mask.data() },
    };
  });
}

export { makeTensor };
