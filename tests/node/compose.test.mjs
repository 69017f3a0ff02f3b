// Masks in graphs of several layers: one for each layer, or one for all; compiled and exported.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { nodesOf } from '../support/graphs.mjs';
import {
  ArgumentError,
  compile,
  composeGraph,
  DiffusionCrossAttention,
  memoryInUse,
  ShapeError,
  Tensor,
  toOnnx,
} from '../support/onnx_package.mjs';
import { declaredShapes, decodeModel, withSession } from '../support/onnx_run.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const [batch, length, contextDim] = [2, 7, 10];
const sizes = [
  { queryDim: 24, numHeads: 3, tokens: 4 },
  { queryDim: 16, numHeads: 2, tokens: 5, options: { queryKeyNorm: 'rms_norm', bias: true } },
  { queryDim: 6, numHeads: 1, tokens: 6, options: { headDim: 4 } },
];

const makeLayers = (own, dtype = 'float32') =>
  sizes.map(({ queryDim, numHeads, options }, seed) =>
    own(new DiffusionCrossAttention(queryDim, contextDim, numHeads, 8, { seed, dtype, ...options })),
  );
const makeInputs = (own, dtype) =>
  sizes.map(({ queryDim, tokens }, seed) => own(normalTensor([batch, tokens, queryDim], seed, { dtype })));

/** Keys that the second batch row ignores, and a row without keys if `isEmpty`. */
function keyMask(own, { isEmpty = false, isBoolean = false, dtype = 'float32' } = {}) {
  const values = Array.from({ length: batch * length }, (_, index) =>
    index >= length && (isEmpty || index % 3 === 0) ? 0 : 1,
  );
  return own(Tensor.from(isBoolean ? values.map(Boolean) : values, [batch, length], dtype));
}

/** Masks for each of the layers. */
const ownMasks = {
  'additive, [B, heads, N, L]': (own, { tokens, numHeads }, dtype) => {
    const mask = own(normalTensor([batch, numHeads, tokens, length], 3, { dtype }));
    mask.view().fill(-Infinity, 0, length);
    return mask;
  },
  'additive, [1, 1, N, L]': (own, { tokens }, dtype) =>
    own(normalTensor([1, 1, tokens, length], 3, { dtype })),
  'additive, [B, N, L]': (own, { tokens }, dtype) => own(normalTensor([batch, tokens, length], 3, { dtype })),
  'a key mask': (own, _, dtype) => keyMask(own, { dtype }),
};
const sharedMasks = {
  'a key mask': (own, dtype) => keyMask(own, { dtype }),
  'a key mask with a row without keys': (own, dtype) => keyMask(own, { dtype, isEmpty: true }),
  'a boolean key mask': (own, dtype) =>
    dtype === 'float32' ? keyMask(own, { isBoolean: true }) : keyMask(own, { dtype }),
  'additive, [B, 1, 1, L]': (own, dtype) => own(normalTensor([batch, 1, 1, length], 3, { dtype })),
  'additive, [1, 1, 1, L]': (own, dtype) => own(normalTensor([1, 1, 1, length], 3, { dtype })),
};

/** Compares a compiled graph with the layers. `constants`: 'context' and 'mask' that are constant. */
async function assertCompiled(own, { mask, masks, dtype, constants }) {
  const layers = makeLayers(own, dtype);
  const inputs = makeInputs(own, dtype);
  const context = own(normalTensor([batch, length, contextDim], 9, { dtype }));
  const graph = composeGraph(layers, { mask });
  assert.equal(graph.masks.length, mask === 'shared' ? 1 : layers.length);
  const constant = new Map();
  if (constants.includes('context')) constant.set(graph.context, context);
  if (constants.includes('mask')) graph.masks.forEach((node, index) => constant.set(node, masks[index]));
  const compiled = own(
    await compile(graph.outputs, graph.inputs, {
      inputShapes: [...inputs, context, ...masks].map(({ shape }) => shape),
      constants: constant,
    }),
  );
  for (const [index, layer] of layers.entries()) {
    const used = masks[mask === 'shared' ? 0 : index];
    const given = [
      inputs[index],
      ...(constants.includes('context') ? [] : [context]),
      ...(constants.includes('mask') ? [] : [used]),
    ];
    const expected = own(layer.forwardWithContext(inputs[index], context, { mask: used })).data();
    const tolerance = (dtype === 'float64' ? 1e-12 : 1e-5) * maximumMagnitude(expected);
    assertClose(own(compiled.runOutput(index, ...given)).data(), expected, tolerance, `layer ${index}`);
  }
}

describe('compiled graphs of several layers with masks', () => {
  for (const dtype of ['float32', 'float64']) {
    for (const constants of [[], ['context'], ['context', 'mask'], ['mask']]) {
      const label = `${dtype}, constant: ${constants.join(' and ') || 'nothing'}`;
      for (const [name, make] of Object.entries(ownMasks)) {
        test(`a mask for each layer, ${name}, ${label}`, () =>
          scoped((own) => {
            const masks = sizes.map((size) => make(own, size, dtype));
            return assertCompiled(own, { mask: true, masks, dtype, constants });
          }));
      }
      for (const [name, make] of Object.entries(sharedMasks)) {
        test(`one mask for all layers, ${name}, ${label}`, () =>
          scoped((own) =>
            assertCompiled(own, { mask: 'shared', masks: [make(own, dtype)], dtype, constants }),
          ));
      }
    }
  }

  test('a mask that does not fit is refused', () =>
    scoped(async (own) => {
      const graph = composeGraph(makeLayers(own), { mask: 'shared' });
      const shapes = [...sizes.map(({ tokens, queryDim }) => [batch, tokens, queryDim]), [batch, length, 10]];
      for (const shape of [
        [batch, 1, 4, length],
        [batch, 3, 1, length],
        [batch, length + 1],
        [batch, 4, length],
      ]) {
        await assert.rejects(
          compile(graph.outputs, graph.inputs, { inputShapes: [...shapes, shape] }),
          (error) => error instanceof ShapeError && error.message.includes("'mask'"),
        );
      }
    }));
});

describe('the nodes of masks', () => {
  const namesOf = (nodes) => nodes.map(({ name, shape }) => [name, ...shape]);
  test('one for each layer, after the context', () =>
    scoped((own) => {
      const { inputs, context, masks, outputs } = composeGraph(makeLayers(own), { mask: true });
      assert.deepEqual(namesOf(masks), [
        ['mask.0', 'batch', 3, 'tokens.0', 'contextLength'],
        ['mask.1', 'batch', 2, 'tokens.1', 'contextLength'],
        ['mask.2', 'batch', 1, 'tokens.2', 'contextLength'],
      ]);
      assert.deepEqual(inputs.slice(3), [context, ...masks]);
      for (const [index, output] of outputs.entries()) {
        const used = nodesOf(output).filter(({ op }) => op === 'Input');
        assert.deepEqual(new Set(used), new Set([inputs[index], context, masks[index]]));
      }
    }));
  test('one for all layers', () =>
    scoped((own) => {
      const { inputs, context, masks, outputs } = composeGraph(makeLayers(own), { mask: 'shared' });
      assert.deepEqual(namesOf(masks), [['mask', 'batch', 1, 1, 'contextLength']]);
      assert.deepEqual(inputs.slice(3), [context, masks[0]]);
      for (const [index, output] of outputs.entries()) {
        const used = nodesOf(output).filter(({ op }) => op === 'Input');
        assert.deepEqual(new Set(used), new Set([inputs[index], context, masks[0]]));
      }
    }));
  test('none, and invalid options', () =>
    scoped((own) => {
      const layers = makeLayers(own);
      for (const options of [undefined, {}, { mask: false }]) {
        const { inputs, masks } = composeGraph(layers, options);
        assert.deepEqual([inputs.length, masks], [4, []]);
      }
      for (const mask of [1, 'each', null, {}]) {
        assertThrows(() => composeGraph(layers, { mask }), ArgumentError, 'options.mask', "'shared'");
      }
    }));
});

describe('exported graphs of several layers with masks', () => {
  const feed = (tensor) => ({ data: tensor.data(), shape: tensor.shape });
  for (const attention of ['operators', 'com.microsoft', 'ai.onnx']) {
    for (const mask of [true, 'shared']) {
      test(`${attention}, mask: ${mask}`, () =>
        scoped(async (own) => {
          const layers = makeLayers(own);
          const inputs = makeInputs(own);
          const context = own(normalTensor([batch, length, contextDim], 9));
          const graph = composeGraph(layers, { mask });
          const file = toOnnx(graph.outputs, graph.inputs, { attention });
          const shapes = declaredShapes(decodeModel(file).graph.input);
          const shared = own(normalTensor([batch, 1, 1, length], 4));
          // The first batch row has no keys: its outputs are the bias.
          shared.view().fill(-Infinity, 0, length);
          const masks =
            mask === 'shared'
              ? [shared]
              : sizes.map((size) => ownMasks['additive, [B, heads, N, L]'](own, size));
          if (mask === 'shared') assert.deepEqual(shapes.mask, ['mask.batch', 1, 1, 'contextLength']);
          else
            assert.deepEqual(shapes['mask.0'], [
              'mask.0.batch',
              'mask.0.heads',
              'mask.0.tokens',
              'contextLength',
            ]);
          const feeds = { context: feed(context) };
          inputs.forEach((input, index) => (feeds[`input.${index}`] = feed(input)));
          masks.forEach(
            (tensor, index) => (feeds[mask === 'shared' ? 'mask' : `mask.${index}`] = feed(tensor)),
          );
          const results = await withSession(file, (run) => run(feeds));
          for (const [index, layer] of layers.entries()) {
            const used = masks[mask === 'shared' ? 0 : index];
            const expected = own(layer.forwardWithContext(inputs[index], context, { mask: used })).data();
            const { data } = results[`layer.${index}.output`];
            assertClose(data, expected, 1e-5 * maximumMagnitude(expected), `layer ${index}`);
          }
        }));
    }
  }
});
