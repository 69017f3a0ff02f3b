// fromOnnx's options strict and names: attentions that the layer cannot represent, and others.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertThrows } from '../support/errors.mjs';
import { GraphWriter } from '../support/onnx_custom.mjs';
import { addAttention, drawParameters, standard } from '../support/onnx_torch.mjs';
import { ArgumentError, fromOnnx, memoryInUse, WeightsError } from '../support/onnx_package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

/** Returns a model of several attentions; those whose names end with "capped" have a soft cap. */
function modelOf(paths, { mask = false, isNamed = true } = {}) {
  const writer = new GraphWriter();
  const input = writer.input('input', ['batch', 'tokens', 24]);
  const context = writer.input('context', ['batch', 'length', 10]);
  const parameters = drawParameters(standard, 1);
  for (const path of paths) {
    const first = writer.graph.node.length;
    addAttention(writer, {
      ...standard,
      path,
      parameters,
      input,
      context,
      attention: 'hand',
      projection: 'gemm',
    });
    const softmax = writer.graph.node.find(({ opType }, index) => index >= first && opType === 'Softmax');
    const index = writer.graph.node.indexOf(softmax);
    const [scores] = softmax.input;
    const rest = writer.graph.node.splice(index);
    if (path.endsWith('capped')) softmax.input = [writer.op('Tanh', [scores])];
    else if (mask) softmax.input = [writer.op('Add', [scores, writer.float([0, -1, 2, 3, 4, 5, -1e4])])];
    writer.graph.node.push(...rest);
    if (!isNamed) writer.graph.node.forEach((node, at) => (node.name = at < first ? node.name : ''));
  }
  return Uint8Array.from(writer.encode());
}

/** Imports and disposes; returns the names, and what was refused. */
const importNames = (file, options) =>
  scoped((own) => {
    const imported = fromOnnx(file, options);
    for (const { layer, mask } of imported) {
      own(layer);
      if (mask !== undefined) own(mask);
    }
    return [imported.map(({ name }) => name), imported.refused];
  });

describe('strict', () => {
  const file = modelOf(['a.attn', 'b.capped', 'c.attn', 'd.capped']);

  test('true, the default: the first that cannot be represented is an error', () => {
    for (const options of [undefined, {}, { strict: true }, { strict: undefined }]) {
      assertThrows(() => fromOnnx(file, options), WeightsError, '/Tanh_', 'scores');
    }
  });
  test('false: the others are returned, and the refused are listed', () => {
    const [names, refused] = importNames(file, { strict: false });
    assert.deepEqual(names, ['a.attn', 'c.attn']);
    assert.deepEqual(
      refused.map(({ name }) => name),
      ['b.capped', 'd.capped'],
    );
    for (const { reason } of refused) assert.match(reason, /of type "Tanh" changes the scores/);
  });
  test('without a refused attention, the list is empty', () => {
    for (const strict of [true, false]) {
      assert.deepEqual(importNames(modelOf(['a.attn']), { strict }), [['a.attn'], []]);
    }
  });
  test('false, and all are refused: an empty list', () => {
    const [names, refused] = importNames(modelOf(['a.capped', 'b.capped']), { strict: false });
    assert.deepEqual([names, refused.length], [[], 2]);
  });
  test('false is no excuse for a damaged file, or one without attention', () => {
    assertThrows(() => fromOnnx(new Uint8Array(50).fill(255), { strict: false }), WeightsError, 'ONNX model');
    assertThrows(() => fromOnnx(new GraphWriter().encode(), { strict: false }), WeightsError, 'attention');
  });
  test('false: an attention with damaged weights is refused', () => {
    const writer = new GraphWriter();
    const input = writer.input('input', ['batch', 'tokens', 24]);
    const context = writer.input('context', ['batch', 'length', 10]);
    for (const path of ['a', 'b']) {
      addAttention(writer, { ...standard, path, parameters: drawParameters(standard, 1), input, context });
    }
    writer.graph.initializer.find(({ name }) => name === 'a.to_out.0.bias').rawData = new Uint8Array(3);
    const [names, refused] = importNames(writer.encode(), { strict: false });
    assert.deepEqual(names, ['b']);
    assert.deepEqual(
      refused.map(({ name }) => name),
      ['a'],
    );
    assert.match(refused[0].reason, /a\.to_out\.0\.bias/);
  });
  test('layers and masks that were made before the error are disposed', () => {
    assertThrows(() => fromOnnx(modelOf(['a.attn', 'b.capped'], { mask: true })), WeightsError, 'Tanh');
  });
  test('names of parameters name a refused attention whose nodes have no names', () => {
    const unnamed = modelOf(['a.attn', 'b.capped'], { isNamed: false });
    const [names, refused] = importNames(unnamed, { strict: false });
    assert.deepEqual([names, refused.map(({ name }) => name)], [['a.attn'], ['b.capped']]);
  });
  test('the array has the layers only', () => {
    const imported = fromOnnx(file, { names: /nothing/ });
    assert.deepEqual(Object.keys(imported), []);
    assert.deepEqual(imported, []);
  });
});

describe('names', () => {
  const file = modelOf(['down.0.attn1', 'down.0.attn2', 'up.0.attn2', 'up.1.capped']);

  test('selects attentions; others need not be representable', () => {
    assert.deepEqual(importNames(file, { names: /attn2$/ }), [['down.0.attn2', 'up.0.attn2'], []]);
    assert.deepEqual(importNames(file, { names: /^down/ }), [['down.0.attn1', 'down.0.attn2'], []]);
    assert.deepEqual(importNames(file, { names: /none/ }), [[], []]);
    assertThrows(() => fromOnnx(file, { names: /^up/ }), WeightsError, 'Tanh');
    const [names, refused] = importNames(file, { names: /^up/, strict: false });
    assert.deepEqual([names, refused.map(({ name }) => name)], [['up.0.attn2'], ['up.1.capped']]);
  });
  test('a global or sticky expression has no state', () => {
    for (const flags of ['g', 'y', 'gy', 'gi', 'giu']) {
      const names = new RegExp('.*attn\\d', flags);
      names.lastIndex = 3;
      for (let call = 0; call < 2; ++call) {
        assert.equal(importNames(file, { names })[0].length, 3, flags);
        assert.equal(names.lastIndex, 3);
      }
    }
  });
  test('refuses other values', () => {
    for (const names of [null, 5, 'attn2', ['attn2'], {}, () => true]) {
      assertThrows(() => fromOnnx(file, { names }), ArgumentError, 'names');
    }
    for (const strict of [null, 0, 1, 'false', {}]) {
      assertThrows(() => fromOnnx(file, { strict }), ArgumentError, 'strict');
    }
  });
  test('reads each option once', () => {
    const counts = {};
    const options = new Proxy(
      { names: /attn1/, strict: true, dtype: 'float32', externalData: {} },
      {
        get(target, key) {
          counts[key] = (counts[key] ?? 0) + 1;
          return target[key];
        },
      },
    );
    importNames(file, options);
    assert.deepEqual(counts, { dtype: 1, externalData: 1, strict: 1, names: 1 });
  });
});
