// Attention that the layer does not support: fromOnnx throws WeightsError with the node and the reason.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { makeTensor, ModelBuilder } from '../support/onnx_builder.mjs';
import { attributeOf, changed, nodeOf, ofType, refuse } from '../support/onnx_edit.mjs';
import { fromOnnx, memoryInUse } from '../support/onnx_package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

describe('unsupported attention', () => {
  test('an unknown number of heads', () => {
    const file = changed(
      (graph) => {
        const reshape = nodeOf(graph, 'Reshape');
        graph.input.push({
          name: 'shape',
          type: { tensorType: { elemType: 7, shape: { dim: [{ dimValue: 4 }] } } },
        });
        reshape.input[1] = 'shape';
      },
      { attention: 'hand' },
    );
    refuse(file, ofType('Reshape'), 'heads', 'sizes');
  });
  test('an unknown scale', () => {
    const file = changed(
      (graph) => {
        graph.input.push({ name: 'scale', type: { tensorType: { elemType: 1, shape: { dim: [] } } } });
        nodeOf(graph, 'Div').input[1] = 'scale';
      },
      { attention: 'hand', shapes: 'static' },
    );
    refuse(file, ofType('Softmax'), 'scale');
  });
  test('heads with interleaved channels', () => {
    const file = changed(
      (graph) => {
        for (const tensor of graph.initializer) {
          if (tensor.dims.length === 1 && Number(tensor.dims[0]) === 4) {
            const shape = new BigInt64Array(Uint8Array.from(tensor.rawData).buffer);
            if (shape[2] === 3n)
              tensor.rawData = new Uint8Array(BigInt64Array.of(shape[0], shape[1], 8n, 3n).buffer);
          }
        }
        for (const node of graph.node) {
          const perm = node.opType === 'Transpose' ? attributeOf(node, 'perm') : undefined;
          if (perm?.ints.join() === '0,2,1,3') perm.ints = [0, 3, 1, 2];
        }
      },
      { attention: 'hand', shapes: 'static', constants: 'initializers' },
    );
    refuse(file, ofType('Softmax'), 'heads');
  });
  test('heads of keys and queries in different orders', () => {
    const file = changed(
      (graph) => {
        const [, key] = graph.node.filter(
          (node) => node.opType === 'Transpose' && attributeOf(node, 'perm').ints.join() === '0,2,1,3',
        );
        // [heads·batch, …] instead of [batch·heads, …].
        attributeOf(key, 'perm').ints = [2, 0, 1, 3];
      },
      { attention: 'bmm', shapes: 'static' },
    );
    refuse(file, ofType('Softmax'), 'heads');
  });
  test('heads joined in another order', () => {
    const file = changed(
      (graph) => {
        const moved = graph.node.filter((node) => node.opType === 'Transpose');
        attributeOf(moved.at(-1), 'perm').ints = [0, 2, 3, 1];
      },
      { attention: 'hand', shapes: 'static' },
    );
    refuse(file, 'to_out.0', 'order');
  });
  test('a softmax over queries', () => {
    const file = changed((graph) => (attributeOf(nodeOf(graph, 'Softmax'), 'axis').i = 2));
    refuse(file, ofType('Softmax'), 'axis 2');
  });
  test('keys and values of different contexts', () => {
    const file = changed((graph) => {
      graph.input.push({ ...graph.input[1], name: 'other' });
      graph.node.find(({ name }) => name.endsWith('to_v/MatMul')).input[0] = 'other';
    });
    refuse(file, ofType('Softmax'), 'contexts');
  });
  test('projections to more channels than those of the input are imported', () => {
    const builder = new ModelBuilder();
    const input = builder.input('input', [2, 5, 24]);
    const weights = [
      ['q', 24, 48],
      ['k', 24, 48],
      ['v', 24, 48],
    ].map(([name, from, to]) => builder.initializer(name, [from, to], new Float32Array(from * to)));
    const [query, key, value] = weights.map((weight) => builder.node('MatMul', [input, weight]));
    const columns = builder.node('Transpose', [key], { attributes: { perm: [0, 2, 1] } });
    const scores = builder.node('MatMul', [query, columns]);
    const probabilities = builder.node('Softmax', [scores], { attributes: { axis: -1 } });
    const attended = builder.node('MatMul', [probabilities, value]);
    const last = builder.initializer('o', [48, 24], new Float32Array(48 * 24));
    builder.node('MatMul', [attended, last], { output: 'output' });
    builder.output('output', [2, 5, 24]);
    const [{ layer }] = fromOnnx(builder.encode());
    assert.deepEqual(layer.getParameterShape('to_out.0.weight'), [24, 48]);
    layer.dispose();
  });
  test('no output projection, or two', () => {
    const without = changed((graph) => {
      const index = graph.node.findIndex(({ name }) => name.endsWith('to_out.0/MatMul'));
      graph.node[index] = {
        ...graph.node[index],
        opType: 'Relu',
        input: graph.node[index].input.slice(0, 1),
      };
    });
    refuse(without, ofType('Softmax'), '0 nodes');
    const twice = changed((graph) => {
      const node = graph.node.find(({ name }) => name.endsWith('to_out.0/MatMul'));
      graph.node.push({ ...node, name: 'second', output: ['second'] });
    });
    refuse(twice, ofType('Softmax'), '2 nodes');
  });
  test('another operator instead of a projection', () => {
    const file = changed((graph) => {
      graph.node.find(({ name }) => name.endsWith('to_k/MatMul')).opType = 'Conv';
    });
    refuse(file, 'to_k', ofType('Conv'), 'key');
  });
  test('a projection plus a value that is not a bias', () => {
    const file = changed((graph) => {
      const query = graph.node.find(({ name }) => name.endsWith('to_q/MatMul'));
      const extra = { name: 'lora', opType: 'Add', input: [query.output[0], 'input'], output: ['extra'] };
      for (const node of graph.node) {
        node.input = node.input.map((value) => (value === query.output[0] ? 'extra' : value));
      }
      graph.node.push(extra);
    });
    refuse(file, '"lora"', ofType('Add'), 'query');
  });
  test('operators with unsupported attributes and inputs', () => {
    const setInteger = (opType, name, i) => (graph) =>
      nodeOf(graph, opType).attribute.push({ name, type: 2, i });
    const setFloat = (opType, name, f) => (graph) =>
      nodeOf(graph, opType).attribute.push({ name, type: 1, f });
    const operator = { attention: 'operator' };
    refuse(changed(setInteger('Attention', 'is_causal', 1), operator), ofType('Attention'), 'causal');
    refuse(changed(setFloat('Attention', 'softcap', 5), operator), ofType('Attention'), 'softcap');
    const grouped = (graph) => (attributeOf(nodeOf(graph, 'Attention'), 'kv_num_heads').i = 1);
    refuse(changed(grouped, operator), ofType('Attention'), 'heads');
    const past = (graph) =>
      (nodeOf(graph, 'Attention').input = [...nodeOf(graph, 'Attention').input, '', 'input']);
    refuse(changed(past, operator), 'past_key');
    const microsoft = { attention: 'microsoft' };
    const type = 'MultiHeadAttention';
    refuse(changed(setInteger(type, 'unidirectional', 1), microsoft), ofType(type), 'unidirectional');
    for (const heads of [0, -1, 5, 7, 2 ** 40]) {
      const setHeads = (graph) => (attributeOf(nodeOf(graph, type), 'num_heads').i = heads);
      refuse(changed(setHeads, microsoft), ofType(type), 'heads');
    }
    const bias = (graph) => {
      graph.initializer.push(makeTensor('b', 'float', [71], new Float32Array(71).fill(1)));
      nodeOf(graph, type).input.push('b');
    };
    refuse(changed(bias, microsoft), ofType(type), 'bias');
    const packed = (graph) => (nodeOf(graph, type).opType = 'PackedMultiHeadAttention');
    refuse(changed(packed, microsoft), 'PackedMultiHeadAttention');
  });
});
