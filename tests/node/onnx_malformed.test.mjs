// Damaged and malicious ONNX files: fromOnnx throws WeightsError and leaves no layer.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import { runs } from '../support/arbitraries.mjs';
import { assertError } from '../support/errors.mjs';
import { ModelBuilder } from '../support/onnx_builder.mjs';
import { customModel } from '../support/onnx_custom.mjs';
import { changed, nodeOf, ofType, refuse } from '../support/onnx_edit.mjs';
import { exportedLayers } from '../support/onnx_fuzz.mjs';
import {
  addAttention,
  attentionStyles,
  drawParameters,
  makeModel,
  standard,
} from '../support/onnx_torch.mjs';
import { fromOnnx, memoryInUse, WeightsError } from '../support/onnx_package.mjs';

const { ModelProto } = onnxProto.onnx;

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

describe('damaged files', () => {
  test('truncated after each byte', () => {
    const { file } = makeModel({ queryDim: 2, contextDim: 1, heads: 1, attention: 'hand', shapes: 'static' });
    for (let length = 0; length < file.length; ++length) {
      // After the end of the graph only the version of the operator set is missing, so the file is valid.
      const isWhole = length > file.length - 40;
      try {
        for (const { layer } of fromOnnx(file.subarray(0, length))) layer.dispose();
        assert.ok(isWhole, `${length} of ${file.length} bytes were read as a model`);
      } catch (error) {
        assertError(error, WeightsError);
      }
    }
  });

  test('other kinds of files', () => {
    const text = (value) => new TextEncoder().encode(value);
    refuse(new Uint8Array(0), 'no graph');
    refuse(new Uint8Array(100), 'ONNX model');
    refuse(new Uint8Array(100).fill(255), 'ONNX model');
    refuse(text('{"graph": {}}'), 'ONNX model');
    refuse(text('PK\u0003\u0004 a zip archive, such as PyTorch writes'), 'ONNX model');
  });

  test('fields of wrong types or lengths', () => {
    // graph (7): a varint; a message of 5 bytes that ends after 2; initializer (5) longer than its graph.
    refuse(Uint8Array.of(0x38, 1), 'graph', 'wire type 0');
    refuse(Uint8Array.of(0x3a, 5, 0x12, 0), 'longer than the file');
    refuse(Uint8Array.of(0x3a, 2, 0x2a, 5, 1, 2, 3, 4, 5), 'longer than its message');
    // A length of 2^63, an endless length, a group, and field number 0.
    refuse(Uint8Array.of(0x3a, ...new Array(8).fill(0x80), 0x80, 1), 'ONNX model');
    refuse(Uint8Array.of(0x3a, ...new Array(20).fill(0x80)), 'ONNX model');
    refuse(Uint8Array.of(0x3b, 0x3c), 'ONNX model');
    refuse(Uint8Array.of(0x02, 0), 'ONNX model');
  });
});

describe('invalid graphs', () => {
  test('a value without a producer', () => {
    const file = changed((graph) => graph.initializer.shift());
    refuse(file, 'to_q/MatMul', ofType('MatMul'), 'onnx::MatMul_', 'initializer');
  });
  test('a value with two producers', () => {
    refuse(
      changed((graph) => graph.node.push({ ...nodeOf(graph, 'Softmax'), name: 'again' })),
      '"again"',
      'already',
    );
    refuse(
      changed((graph) => graph.initializer.push(graph.initializer[0])),
      'initializer',
      'twice',
    );
  });
  test('a cycle', () => {
    const file = changed((graph) => {
      nodeOf(graph, 'Softmax').input = [graph.output[0].name];
    });
    refuse(file, 'cycle');
    refuse(
      changed((graph) => graph.node.push({ name: 'own', opType: 'Relu', input: ['a'], output: ['a'] })),
      '"own"',
      'cycle',
    );
  });
  test('nodes in another order are valid', () => {
    const [{ layer }] = fromOnnx(changed((graph) => graph.node.reverse()));
    layer.dispose();
  });
  test('a cycle of 100,000 nodes is refused, a chain of 100,000 nodes is valid', () => {
    const count = 100_000;
    const chain = (last) =>
      Array.from({ length: count }, (_, index) => ({
        opType: 'Softmax',
        input: [index === 0 ? last : `v${index - 1}`],
        output: [`v${index}`],
      }));
    refuse(
      changed((graph) => graph.node.push(...chain(`v${count - 1}`))),
      'cycle',
    );
    const [{ layer }] = fromOnnx(changed((graph) => graph.node.push(...chain('input'))));
    layer.dispose();
  });
  /** `limit`: milliseconds of processor time, which does not depend on other programs. */
  const quickly = (limit, work) => {
    const begin = process.cpuUsage();
    const result = work();
    const { user, system } = process.cpuUsage(begin);
    const spent = (user + system) / 1000;
    assert.ok(spent < limit, `${spent} ms; expected less than ${limit}`);
    return result;
  };
  /** Adds nodes between a value and its consumers. */
  const insert = (graph, value, count, make) => {
    const users = graph.node.filter(({ input }) => input?.includes(value));
    let last = value;
    for (let index = 0; index < count; ++index) {
      graph.node.push({ output: [`inserted${index}`], ...make(last) });
      last = `inserted${index}`;
    }
    for (const node of users) node.input = node.input.map((input) => (input === value ? last : input));
  };

  test('chains of 10,000 Identity nodes are valid everywhere on the path', () => {
    for (const at of ['to_q/MatMul', 'to_k/MatMul', 'to_v/MatMul', 'Softmax', 'to_out.0/MatMul']) {
      for (const side of ['input', 'output']) {
        const file = changed((graph) => {
          const node = graph.node.find(({ name, opType }) => name.endsWith(at) || opType === at);
          insert(graph, node[side][0], 10_000, (last) => ({ opType: 'Identity', input: [last] }));
        });
        const [{ layer }] = quickly(3000, () => fromOnnx(file));
        layer.dispose();
      }
    }
    const weights = changed((graph) =>
      insert(graph, graph.initializer[0].name, 10_000, (last) => ({ opType: 'Identity', input: [last] })),
    );
    const [{ layer }] = quickly(3000, () => fromOnnx(weights));
    layer.dispose();
  });
  test('chains of 10,000 other nodes end quickly', () => {
    for (const opType of ['Cast', 'Neg', 'Relu', 'Reshape', 'Transpose', 'Where', 'Add']) {
      for (const at of ['Softmax', 'to_q/MatMul', 'to_out.0/MatMul']) {
        const file = changed((graph) => {
          const node = graph.node.find((one) => one.name.endsWith(at) || one.opType === at);
          const attribute = opType === 'Cast' ? [{ name: 'to', type: 2, i: 1 }] : [];
          const make = (last) => ({
            opType,
            input: opType === 'Neg' ? [last] : [last, last, last],
            attribute,
          });
          insert(graph, node.output[0], 10_000, make);
        });
        quickly(3000, () => importAnything(file));
      }
    }
    const constants = changed((graph) =>
      insert(graph, graph.initializer[0].name, 10_000, (last) => ({ opType: 'Neg', input: [last] })),
    );
    quickly(3000, () => importAnything(constants));
  });
  test('constants that would be too large are refused before they are made', () => {
    const list = (values) => ({
      opType: 'Constant',
      attribute: [{ name: 'value_ints', type: 7, ints: values }],
    });
    const masks = [
      ['Expand', [2 ** 20, 2 ** 20]],
      ['Expand', [2 ** 31, 2 ** 31, 2 ** 31]],
      ['ConstantOfShape', [2 ** 40]],
      ['ConstantOfShape', [-5, 7]],
      ['Tile', [2 ** 30]],
      ['Range', [2 ** 52]],
    ];
    for (const [opType, shape] of masks) {
      const file = changed(
        (graph) => {
          graph.node.push({ ...list(shape), output: ['size'] });
          graph.node.push({ ...list([1]), output: ['one'] });
          const inputs = { Expand: ['row', 'size'], Tile: ['row', 'size'], ConstantOfShape: ['size'] };
          graph.node.push({
            opType: 'Constant',
            output: ['row'],
            attribute: [{ name: 'value_floats', type: 6, floats: [1, 2] }],
          });
          graph.node.push({ opType, input: inputs[opType] ?? ['one', 'size', 'one'], output: ['large'] });
          graph.node.push({ opType: 'Abs', input: ['large'], output: ['mask'] });
          const softmax = nodeOf(graph, 'Softmax');
          graph.node.push({
            name: 'masked',
            opType: 'Add',
            input: [softmax.input[0], 'mask'],
            output: ['masked'],
          });
          softmax.input = ['masked'];
        },
        { attention: 'hand' },
      );
      quickly(3000, () => refuse(file, 'node'));
    }
  });
  test('constants that double again and again are refused', () => {
    const file = changed(
      (graph) => {
        graph.node.push({
          opType: 'Constant',
          output: ['row'],
          attribute: [{ name: 'value_floats', type: 6, floats: [1, 2] }],
        });
        insert(graph, 'row', 60, (last) => ({
          opType: 'Concat',
          input: [last, last],
          attribute: [{ name: 'axis', type: 2, i: 0 }],
        }));
        const softmax = nodeOf(graph, 'Softmax');
        graph.node.push({ opType: 'Add', input: [softmax.input[0], 'inserted59'], output: ['masked'] });
        softmax.input = ['masked'];
      },
      { attention: 'hand' },
    );
    quickly(5000, () => refuse(file, 'too large'));
  });
  test('inputs that are missing, or too many', () => {
    for (const opType of ['MatMul', 'Softmax', 'Transpose', 'Reshape', 'Div', 'Add', 'Concat', 'Gather']) {
      for (const edit of [
        (node) => (node.input = []),
        (node) => (node.input = ['']),
        (node) => (node.input = node.input.slice(0, 1)),
        (node) => (node.input = [...node.input, ...node.input, ...node.input]),
        (node) => (node.output = []),
        (node) => (node.output = ['']),
      ]) {
        for (let index = 0; index < 6; ++index) {
          const file = changed(
            (graph) => {
              const node = graph.node.filter((one) => one.opType === opType)[index];
              if (node !== undefined) edit(node);
            },
            { attention: 'hand' },
          );
          importAnything(file);
        }
      }
    }
  });
  test('a graph without attention', () => {
    const builder = new ModelBuilder();
    refuse(builder.encode(), 'file', 'attention');
    const input = builder.input('input', [1, 4, 8]);
    const weight = builder.initializer('weight', [8, 8], new Float32Array(64));
    const classes = builder.node('Softmax', [builder.node('MatMul', [input, weight])]);
    builder.node('MatMul', [classes, weight], { output: 'output' });
    builder.output('output', [1, 4, 8]);
    refuse(builder.encode(), 'file', 'attention');
  });
});

describe('invalid weights', () => {
  const change = (edit) => changed((graph) => edit(graph.initializer[0]));
  const weight = 'onnx::MatMul_';
  test('data outside the file', () => {
    const file = change((tensor) => {
      tensor.dataLocation = 1;
      tensor.rawData = new Uint8Array(0);
      tensor.externalData = [{ key: 'location', value: '../../secret' }];
    });
    refuse(file, weight, 'outside the file');
  });
  test('numbers of elements that do not match the shape', () => {
    for (const size of [0, 4, 24 * 24 * 4 - 1, 24 * 24 * 4 + 4]) {
      refuse(
        change((tensor) => (tensor.rawData = new Uint8Array(size))),
        weight,
        'elements',
        '[24, 24]',
        '576',
      );
    }
    refuse(
      change((tensor) => (tensor.rawData = undefined)),
      weight,
      '0 elements',
    );
  });
  test('invalid shapes', () => {
    for (const dims of [
      [],
      [576],
      [1, 24, 24],
      [-24, 24],
      [24, -24],
      [2 ** 40, 2 ** 40],
      [0, 24],
      [24, 0],
      [23, 24],
      [24, 25],
    ]) {
      refuse(
        change((tensor) => (tensor.dims = dims)),
        /node|tensor/,
      );
    }
  });
  test('other types', () => {
    for (const dataType of [undefined, 0, 2, 8, 17, 99]) {
      refuse(
        change((tensor) => (tensor.dataType = dataType)),
        weight,
        'FLOAT',
      );
    }
  });
  test('more channels than the layer supports', () => {
    const builder = new ModelBuilder();
    const input = builder.input('input', [1, 4, 40000]);
    const empty = { dataType: 1, dims: [40000, 40000], rawData: new Uint8Array(0) };
    const options = { ...standard, queryDim: 40000, contextDim: 40000, heads: 1, shapes: 'static' };
    const none = { query: [], key: [], value: [], output: [], bias: [] };
    const sizes = { batch: 1, tokens: 4, length: 4 };
    addAttention(builder, { ...options, sizes, parameters: none, input, context: input });
    builder.graph.initializer.forEach((tensor) => {
      if (tensor.dims.length === 2) Object.assign(tensor, empty, { name: tensor.name });
    });
    refuse(builder.encode(), '40000', '32768');
  });
});

test('if the last of several layers is refused, no layer remains', () => {
  const builder = new ModelBuilder();
  const input = builder.input('input', ['batch', 'tokens', 24]);
  const context = builder.input('context', ['batch', 'length', 10]);
  const parameters = drawParameters(standard, 1);
  for (const path of ['first', 'second'])
    addAttention(builder, { ...standard, path, parameters, input, context });
  builder.graph.initializer.find(({ name }) => name === 'second.to_out.0.bias').rawData = new Uint8Array(3);
  const before = memoryInUse();
  refuse(builder.encode(), 'second.to_out.0.bias');
  assert.equal(memoryInUse(), before);
});

test('names of JavaScript properties are ordinary names', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'];
  const file = changed((graph) => {
    graph.initializer.forEach((tensor, index) => {
      const name = names[index] ?? tensor.name;
      for (const node of graph.node) {
        node.input = node.input.map((value) => (value === tensor.name ? name : value));
        node.name = '__proto__';
        node.attribute.push({ name: '__proto__', type: 2, i: 1 });
      }
      tensor.name = name;
    });
  });
  const [{ name, layer }] = fromOnnx(file);
  layer.dispose();
  assert.equal(name, 'attention_0');
  assert.equal({}.i, undefined);
});

/**
 * Imports a file and asserts a WeightsError or layers of valid sizes. Returns whether the file was refused.
 */
function importAnything(file) {
  let imported;
  try {
    imported = fromOnnx(file);
  } catch (error) {
    assertError(error, WeightsError);
    return true;
  }
  for (const { name, kind, layer, mask } of imported) {
    mask?.dispose();
    assert.equal(typeof name, 'string');
    assert.ok(kind === 'self' || kind === 'cross');
    for (const size of [layer.queryDim, layer.contextDim, layer.numHeads, layer.headDim]) {
      assert.ok(Number.isInteger(size) && size > 0, `a size of ${size}`);
    }
    layer.dispose();
  }
  return false;
}

test('any bytes', () => {
  // Bytes that are often valid tags, lengths and types, besides others.
  const likely = fc.constantFrom(
    0x0a,
    0x12,
    0x1a,
    0x22,
    0x2a,
    0x32,
    0x3a,
    0x42,
    0x4a,
    0x5a,
    0x62,
    0x6a,
    0,
    1,
    2,
    3,
    7,
  );
  const byte = fc.oneof(likely, fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 200 }), (bytes) => {
      importAnything(Uint8Array.from(bytes));
      // As the graph of a model.
      importAnything(
        Uint8Array.of(0x3a, ...(bytes.length < 128 ? [bytes.length] : [bytes.length, 1]), ...bytes),
      );
    }),
    runs(2000),
  );
});

const masked = ['static', 'dynamic'].map((shapes) =>
  customModel({
    dynamic: shapes === 'dynamic',
    scores: (writer, scores) => {
      const table = writer.float(new Array(35).fill(-1), [5, 7]);
      const lower = writer.op('Trilu', [table], { upper: 0 });
      const chosen = writer.op('Where', [writer.op('Cast', [lower], { to: 9 }), scores, writer.scalar(-1e9)]);
      return writer.op('Add', [
        chosen,
        writer.op('Slice', [table, ...[0, 1, 0].map((one) => writer.integers(one))]),
      ]);
    },
    project: (writer, role, value, weight) => {
      const scale = writer.scalar(0.1);
      return writer.op('MatMul', [
        value,
        writer.op('DequantizeLinear', [writer.op('Cast', [weight], { to: 6 }), scale]),
      ]);
    },
  }),
);

const fuzzed = [
  ...masked,
  ...Object.keys(attentionStyles).flatMap((attention) =>
    ['dynamic', 'static'].map((shapes) =>
      makeModel({ attention, shapes, queryDim: 4, contextDim: 3, heads: 2, noise: true, hasMask: true }),
    ),
  ),
  ...exportedLayers().map((file) => ({ file })),
];

test('bytes changed, removed and inserted at random', (context) => {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    kind: fc.constantFrom('change', 'change', 'change', 'remove', 'insert'),
    byte: fc.integer({ min: 0, max: 255 }),
  });
  let refused = 0;
  const count = 4000;
  fc.assert(
    fc.property(
      fc.constantFrom(...fuzzed),
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      ({ file }, edits) => {
        const bytes = [...file];
        for (const { at, kind, byte } of edits) {
          const index = Math.floor(at * bytes.length);
          bytes.splice(index, kind === 'insert' ? 0 : 1, ...(kind === 'remove' ? [] : [byte]));
        }
        if (importAnything(Uint8Array.from(bytes))) ++refused;
      },
    ),
    runs(count),
  );
  context.diagnostic(`${refused} of ${count} refused`);
  assert.ok(refused > count / 3 && refused < count, `${refused} of ${count} were refused`);
});

test('graphs rewired at random', (context) => {
  const edit = fc.record({
    kind: fc.constantFrom('input', 'operator', 'remove', 'dims', 'integers', 'swap'),
    node: fc.nat(),
    other: fc.nat(),
    slot: fc.nat({ max: 3 }),
    value: fc.oneof(fc.integer({ min: -3, max: 5 }), fc.constantFrom(2 ** 31, -(2 ** 40), 2 ** 53)),
  });
  const apply = (graph, { kind, node, other, slot, value }) => {
    const chosen = graph.node[node % graph.node.length];
    const from = graph.node[other % graph.node.length];
    const at = slot % Math.max(chosen.input.length, 1);
    if (kind === 'input') chosen.input[at] = from.output[0];
    else if (kind === 'operator') chosen.opType = from.opType;
    else if (kind === 'remove')
      graph.node.splice(node % graph.node.length, 1, { ...chosen, opType: 'Identity' });
    else if (kind === 'swap') chosen.input.reverse();
    else if (kind === 'dims') {
      const { dims } = graph.initializer[other % graph.initializer.length];
      dims[Math.min(slot % 2, dims.length)] = value;
    } else {
      for (const attribute of chosen.attribute) {
        if (attribute.ints?.length) attribute.ints[slot % attribute.ints.length] = value;
        else attribute.i = value;
      }
    }
  };
  let refused = 0;
  const count = 3000;
  fc.assert(
    fc.property(
      fc.constantFrom(...fuzzed),
      fc.array(edit, { minLength: 1, maxLength: 3 }),
      ({ file }, edits) => {
        const model = ModelProto.decode(file);
        for (const change of edits) apply(model.graph, change);
        if (importAnything(Uint8Array.from(ModelProto.encode(model).finish()))) ++refused;
      },
    ),
    runs(count),
  );
  context.diagnostic(`${refused} of ${count} refused`);
  assert.ok(refused > count / 3 && refused < count, `${refused} of ${count} were refused`);
});
