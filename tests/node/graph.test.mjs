// Tests of exportComputationGraph and composeGraph: the nodes of computation graphs.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertThrows } from '../support/errors.mjs';
import { graphOf, nodesOf } from '../support/graphs.mjs';
import {
  ArgumentError,
  composeGraph,
  ComputationNode,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  ShapeError,
} from '../support/package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const withLayer = (work) => scoped((own) => work(own(new DiffusionCrossAttention(12, 5, 3, 8, { seed: 1 }))));

describe('exportComputationGraph', () => {
  test('appends the input and context nodes to the array and returns the output node', () =>
    withLayer((layer) => {
      const inputs = ['an earlier element'];
      const output = layer.exportComputationGraph(inputs);
      assert.equal(inputs.length, 3);
      const [, input, context] = inputs;
      assert.deepEqual([input.op, input.name, input.shape], ['Input', 'input', ['batch', 'tokens', 12]]);
      assert.deepEqual(
        [context.op, context.name, context.shape],
        ['Input', 'context', ['batch', 'contextLength', 5]],
      );
      assert.deepEqual(output.shape, ['batch', 'tokens', 12]);
      assert.ok(output instanceof ComputationNode);
      assert.ok(nodesOf(output).includes(input), 'a node is always the same object');
    }));

  test('adds a mask input, which broadcasts, for option mask', () =>
    withLayer((layer) => {
      const { inputs } = graphOf(layer, { mask: true, name: 'attn2' });
      assert.deepEqual(inputs[2].shape, ['batch', 3, 'tokens', 'contextLength']);
      assert.deepEqual(inputs[2].attributes, { broadcast: true });
    }));

  test('uses operators of ONNX and their attributes', () =>
    withLayer((layer) => {
      const nodes = nodesOf(graphOf(layer, { name: 'attn2' }).output);
      const onnx = ['Input', 'Constant', 'MatMul', 'Transpose', 'Reshape', 'Mul', 'Softmax', 'Add'];
      for (const node of nodes) {
        assert.ok(onnx.includes(node.op), node.op);
        if (node.op !== 'Input') assert.ok(node.name.startsWith('attn2.'), node.name);
        assert.equal(node.dtype, 'float32');
      }
      const count = (op) => nodes.filter((node) => node.op === op).length;
      assert.deepEqual([count('MatMul'), count('Softmax'), count('Constant')], [6, 1, 6]);
      const find = (name) => nodes.find((node) => node.name === `attn2.${name}`);
      assert.deepEqual(find('query.heads').attributes, { perm: [0, 2, 1, 3] });
      assert.deepEqual(find('query.split').attributes, { shape: [0, 0, 3, 4] });
      assert.deepEqual(find('probabilities').attributes, { axis: -1 });
      assert.deepEqual(find('probabilities').shape, ['batch', 3, 'tokens', 'contextLength']);
      assert.deepEqual(find('to_k.weight').shape, [12, 5]);
      assert.equal(
        String(find('scores')),
        'attn2.scores [batch, 3, tokens, contextLength] = Mul(attn2.products, attn2.scale)',
      );
    }));

  test('copies no weights: nodes use no memory of the layer', () =>
    withLayer((layer) => {
      const before = memoryInUse();
      const graphs = Array.from({ length: 50 }, () => graphOf(layer));
      assert.equal(memoryInUse(), before);
      assert.equal(graphs.length, 50);
    }));

  test('nodes are immutable', () =>
    withLayer((layer) => {
      const { output } = graphOf(layer);
      for (const change of [
        () => (output.name = 'other'),
        () => output.inputs.push(output),
        () => (output.shape[0] = 7),
        () => (output.attributes.perm = []),
      ]) {
        assert.throws(change, TypeError);
      }
    }));

  test('throws for invalid arguments and for a disposed layer', () =>
    scoped((own) => {
      const layer = own(new DiffusionCrossAttention(12, 5, 3));
      assertThrows(() => layer.exportComputationGraph(), ArgumentError, 'inputNodes');
      assertThrows(() => layer.exportComputationGraph([], { mask: 1 }), ArgumentError, 'options.mask', '1');
      assertThrows(() => layer.exportComputationGraph([], { name: 1 }), ArgumentError, 'options.name');
      layer.dispose();
      assertThrows(() => layer.exportComputationGraph([]), DisposedError);
      assertThrows(() => new ComputationNode(), ArgumentError, 'exportComputationGraph');
    }));
});

describe('composeGraph', () => {
  test('gives each layer an input and an output, and all layers the same context', () =>
    scoped((own) => {
      const layers = [8, 12, 8].map((queryDim) => own(new DiffusionCrossAttention(queryDim, 5, 2)));
      const { inputs, context, outputs } = composeGraph(layers, { names: ['down', 'mid', 'up'] });
      assert.deepEqual(
        inputs.map(({ name }) => name),
        ['input.0', 'input.1', 'input.2', 'context'],
      );
      assert.equal(inputs[3], context);
      assert.deepEqual(
        outputs.map(({ name, shape }) => [name, ...shape]),
        [
          ['down.output', 'batch', 'tokens.0', 8],
          ['mid.output', 'batch', 'tokens.1', 12],
          ['up.output', 'batch', 'tokens.2', 8],
        ],
      );
      for (const [index, output] of outputs.entries()) {
        const inputNodes = nodesOf(output).filter(({ op }) => op === 'Input');
        assert.deepEqual(new Set(inputNodes), new Set([inputs[index], context]));
      }
    }));

  test('throws for layers that cannot be combined', () =>
    scoped((own) => {
      const layer = own(new DiffusionCrossAttention(8, 5, 2));
      const other = own(new DiffusionCrossAttention(8, 6, 2));
      const double = own(new DiffusionCrossAttention(8, 5, 2, 8, { dtype: 'float64' }));
      assertThrows(() => composeGraph([layer, other]), ShapeError, 'context', 'layer.1', '6');
      assertThrows(() => composeGraph([layer, double]), ArgumentError, 'layers[1]', 'float64');
      assertThrows(() => composeGraph([]), ArgumentError, 'layers');
      assertThrows(() => composeGraph([layer, {}]), ArgumentError, 'layers[1]');
      assertThrows(() => composeGraph([layer], { names: [] }), ArgumentError, 'names');
      assertThrows(() => composeGraph([layer], { names: [1] }), ArgumentError, 'names[0]');
    }));
});
