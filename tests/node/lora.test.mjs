// LoRAs of a layer: effective weights, scales, removal, merging, and the layer's own weights.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { assertSameBits, assertWithin } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { loraFile, loraTensors, projections, withLora } from '../support/lora_file.mjs';
import {
  ArgumentError,
  compile,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  Tensor,
  toOnnx,
  WeightFile,
  WeightsError,
} from '../support/package.mjs';
import { normalArray } from '../../support/random.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const [queryDim, contextDim] = [24, 20];
const columnsOf = { to_q: queryDim, to_k: contextDim, to_v: contextDim, 'to_out.0': queryDim };
const makeLayer = (own, options) =>
  own(new DiffusionCrossAttention(queryDim, contextDim, 4, 8, { seed: 1, ...options }));

const rows = (count, columns, seed) => {
  const values = normalArray(count * columns, seed).map(Math.fround);
  return Array.from({ length: count }, (_, row) => [...values.slice(row * columns, (row + 1) * columns)]);
};
const randomUpdate = (name, rank, seed, alpha) => ({
  down: rows(rank, columnsOf[name], seed),
  up: rows(queryDim, rank, seed + 1),
  alpha,
});
/** Different ranks; an alpha for some. */
const updates = (seed) =>
  Object.fromEntries(
    projections.map((name, index) => [
      name,
      randomUpdate(name, 1 + index, seed + 2 * index, [undefined, 2, 0, 8][index]),
    ]),
  );
const fileOf = (all, path = '') =>
  loraFile(...Object.entries(all).map(([name, update]) => loraTensors('PEFT', path, name, update)));

/** Returns the parameters with LoRAs [updates, scale], in float64. */
function expectedParameters(layer, loras) {
  const parameters = Float64Array.from(layer.getParameters());
  let begin = 0;
  for (const name of layer.getParameterNames()) {
    const size = layer.getParameterShape(name).reduce((a, b) => a * b, 1);
    for (const [all, scale] of loras) {
      const update = all[name.replace('.weight', '')];
      if (update === undefined) continue;
      const part = parameters.subarray(begin, begin + size);
      part.set(withLora(part, layer.getParameterShape(name)[1], update, scale));
    }
    begin += size;
  }
  return parameters;
}

/** Returns a layer with these parameters. */
function layerOf(own, parameters, options) {
  const layer = makeLayer(own, options);
  layer.setParameters(parameters);
  return layer;
}

/** Everything that a layer computes in WebAssembly. */
async function results(own, layer) {
  const { dtype } = layer;
  const input = own(Tensor.randn([2, queryDim, 3, 5], { seed: 2, dtype }));
  const context = own(Tensor.randn([2, 7, contextDim], { seed: 3, dtype }));
  const gradient = own(Tensor.randn([2, queryDim, 3, 5], { seed: 4, dtype }));
  const nodes = [];
  const output = layer.exportComputationGraph(nodes);
  const shapes = { inputShapes: [[2, 15, queryDim], context.shape], association: 'plain' };
  const tokens = own(Tensor.randn([2, 15, queryDim], { seed: 5, dtype }));
  const graphs = [
    own(await compile(output, nodes, shapes)),
    own(await compile(output, nodes, { ...shapes, passes: { fuseAttention: false } })),
  ];
  layer.clearGradients();
  layer.training = true;
  const forward = own(layer.forwardWithContext(input, context));
  const backward = own(layer.backward(gradient));
  layer.training = false;
  return {
    forward: forward.data(),
    backward: backward.data(),
    contextGradient: layer.contextGradient.data(),
    gradients: layer.getParameterGradients(),
    again: own(layer.forwardWithContext(input, context)).data(),
    async: own(await layer.forwardAsync(input, context)).data(),
    maps: own(layer.attentionMaps(input, context)).data(),
    graph: own(graphs[0].run(tokens, context)).data(),
    operators: own(graphs[1].run(tokens, context)).data(),
    onnx: toOnnx(output, nodes),
  };
}

function assertSameResults(actual, expected) {
  for (const key of Object.keys(expected)) assertSameBits(actual[key], expected[key], key);
}

for (const dtype of ['float32', 'float64']) {
  test(`${dtype}: all that a layer computes is of the merged weights, and removal restores all bits`, () =>
    scoped(async (own) => {
      const layer = makeLayer(own, { dtype });
      const before = await results(own, layer);
      const own0 = layer.getParameters();
      const [first, second] = [updates(10), updates(30)];
      delete second['to_q'];
      layer.loadLora('first', fileOf(first), { scale: 0.7 });
      layer.loadLora('second', fileOf(second), { scale: 0.3 });
      assert.deepEqual(layer.loras, ['first', 'second']);
      const loaded = await results(own, layer);
      assertSameBits(layer.getParameters(), own0, 'own parameters');
      assert.notDeepEqual(loaded.forward, before.forward);

      // What was merged is within one rounding of the sums in float64.
      const merged = makeLayer(own, { dtype });
      merged.loadLora('first', fileOf(first), { scale: 0.7 });
      merged.loadLora('second', fileOf(second), { scale: 0.3 });
      const expected = expectedParameters(merged, [
        [first, 0.7],
        [second, 0.3],
      ]);
      merged.mergeLoras();
      const ulp = 2 ** -23;
      assertWithin(
        merged.getParameters(),
        expected,
        expected.map((value) => (dtype === 'float32' ? ulp * Math.abs(value) : 1e-14)),
        'merged parameters',
      );
      assert.deepEqual(merged.loras, []);
      assertSameResults(loaded, await results(own, layerOf(own, merged.getParameters(), { dtype })));

      layer.setLoraScales({ first: 0, second: 0 });
      assertSameResults(await results(own, layer), before);
      layer.setLoraScales({ second: 0.3, first: 0.7 });
      assertSameResults(await results(own, layer), loaded);
      layer.removeLora('first');
      assert.deepEqual(layer.loras, ['second']);
      layer.removeLora('second');
      assertSameResults(await results(own, layer), before);
      assertSameBits(layer.getParameters(), own0, 'own parameters');
    }));
}

test('getters, setters, files and steps are of the own weights, and LoRAs stay loaded', () =>
  scoped(async (own) => {
    const layer = makeLayer(own);
    const plain = makeLayer(own);
    const file = fileOf(updates(50));
    layer.loadLora('a', file);
    const compare = async () => {
      assertSameBits(layer.getParameters(), plain.getParameters(), 'own parameters');
      assertSameBits(layer.saveWeights(), plain.saveWeights(), 'file');
      const name = 'to_q.weight';
      assertSameBits(own(layer.getParameter(name)).data(), own(plain.getParameter(name)).data(), name);
      const merged = layerOf(own, plain.getParameters());
      merged.loadLora('a', file);
      merged.mergeLoras();
      assertSameResults(await results(own, layer), await results(own, merged));
    };
    await compare();
    const values = normalArray(layer.parameterCount, 60).map((value) => value / 8);
    for (const each of [layer, plain]) each.setParameters(values);
    await compare();
    const weight = own(Tensor.randn([queryDim, queryDim], { seed: 61 }));
    for (const each of [layer, plain]) each.setParameter('to_out.0.weight', weight);
    await compare();
    for (const each of [layer, plain]) each.loadWeights({ 'to_q.weight': weight }, { strict: false });
    await compare();
    plain.setParameters(
      layer
        .getParameters()
        .map((value, index) => value - Math.fround(0.25) * layer.getParameterGradients()[index]),
    );
    layer.updateParameters(0.25);
    await compare();
    layer.resetState();
    await compare();
  }));

describe('alpha', () => {
  const up = [[0], [2], [0], [0]];
  const value = { down: [[1, 0, 0, 0]], up };
  const twoRanks = {
    down: [
      [1, 0, 0, 0],
      [0, 0, 0, 0],
    ],
    up: [
      [0, 0],
      [2, 0],
      [0, 0],
      [0, 0],
    ],
  };
  const effective = (own, update, options) => {
    const layer = own(new DiffusionCrossAttention(4, 4, 1, 8));
    layer.setParameters(new Float32Array(layer.parameterCount));
    layer.loadLora('a', loraFile(loraTensors('kohya', '', 'to_q', update, options)));
    layer.mergeLoras();
    return layer.getParameters()[4];
  };
  const cases = [
    ['missing: the rank', twoRanks, {}, 2],
    ['0: the rank', { ...twoRanks, alpha: 0 }, {}, 2],
    ['F32', { ...value, alpha: 0.5 }, {}, 1],
    ['F32 of rank 2', { ...twoRanks, alpha: 0.5 }, {}, 0.5],
    ['F64', { ...value, alpha: 0.5 }, { alphaType: 'F64' }, 1],
    ['F16', { ...value, alpha: 0x3800 }, { alphaType: 'F16' }, 1],
    ['BF16', { ...value, alpha: 0x3f00 }, { alphaType: 'BF16' }, 1],
    ['I64', { ...value, alpha: 3 }, { alphaType: 'I64' }, 6],
    ['negative I64', { ...value, alpha: -3 }, { alphaType: 'I64' }, -6],
    ['U8', { ...value, alpha: 200 }, { alphaType: 'U8' }, 400],
    ['shape [1]', { ...value, alpha: 0.5 }, { alphaShape: [1] }, 1],
    ['shape [1, 1]', { ...value, alpha: 0.5 }, { alphaShape: [1, 1] }, 1],
  ];
  for (const [name, update, options, expected] of cases) {
    test(name, () => scoped((own) => assert.equal(effective(own, update, options), expected)));
  }
});

test('all kinds of sources', () =>
  scoped(async (own) => {
    const layer = makeLayer(own);
    const all = updates(70);
    const file = fileOf(all);
    const shards = projections.map((name) => fileOf({ [name]: all[name] }));
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    const tensors = {};
    for (const [name, { down, up, alpha }] of Object.entries(all)) {
      tensors[`${name}.lora_A.weight`] = own(Tensor.from(down.flat(), [down.length, down[0].length]));
      tensors[`${name}.lora_B.weight`] = own(Tensor.from(up.flat(), [up.length, up[0].length]));
      if (alpha !== undefined) tensors[`${name}.alpha`] = own(Tensor.from([alpha], []));
    }
    layer.loadLora('bytes', file);
    const expected = (await results(own, layer)).forward;
    layer.removeLora('bytes');
    const sources = {
      'an ArrayBuffer': file.slice().buffer,
      'a DataView': new DataView(file.slice().buffer),
      'a SharedArrayBuffer': shared.buffer,
      shards: shards,
      'a record of tensors': tensors,
      'a Map of tensors': new Map(Object.entries(tensors)),
    };
    for (const [name, source] of Object.entries(sources)) {
      assert.deepEqual(layer.loadLora(name, source).updated.length, 4);
      assertSameBits((await results(own, layer)).forward, expected, name);
      layer.removeLora(name);
    }
    const opened = await WeightFile.open(shards);
    await layer.loadLoraFrom('file', opened);
    assertSameBits((await results(own, layer)).forward, expected, 'a WeightFile');
    assertThrows(() => layer.loadLora('b', opened), ArgumentError, 'loadLoraFrom');
    await assertRejects(() => layer.loadLoraFrom('b', file), ArgumentError, 'loadLora');
    await assertRejects(() => layer.loadLoraFrom('b', 'x'), ArgumentError, 'file');
    opened.close();
  }));

describe('arguments', () => {
  test('errors change nothing', () =>
    scoped(async (own) => {
      const layer = makeLayer(own);
      const file = fileOf(updates(80));
      layer.loadLora('a', file, { scale: 0.5 });
      const before = await results(own, layer);
      const inUse = memoryInUse();
      const fails = (work, ...parts) => assertThrows(work, ArgumentError, ...parts);
      fails(() => layer.loadLora('a', file), 'name is "a"');
      fails(() => layer.loadLora(1, file), 'name is 1');
      fails(() => layer.loadLora('b', null), 'weights');
      fails(() => layer.loadLora('b', 'path'), 'weights', 'loadLoraFrom');
      fails(() => layer.loadLora('b', file, { scale: NaN }), 'scale');
      fails(() => layer.loadLora('b', file, { scale: '1' }), 'scale');
      fails(() => layer.loadLora('b', file, { prefix: 1 }), 'prefix');
      fails(() => layer.loadLora('b', file, 1), 'options');
      fails(() => layer.setLoraScales({ a: 1, b: 1 }), '"b"', '"a"');
      fails(() => layer.setLoraScales({ a: Infinity }), 'scales["a"]');
      fails(() => layer.setLoraScales(null), 'scales');
      fails(() => layer.setLoraScales(1), 'scales');
      fails(() => layer.removeLora('b'), '"b"', '"a"');
      fails(() => layer.removeLora(), 'name');
      assertThrows(() => layer.loadLora('b', file.slice(0, 100)), WeightsError);
      assert.deepEqual([layer.loras, memoryInUse()], [['a'], inUse]);
      assertSameResults(await results(own, layer), before);
      assert.throws(() => layer.loras.push('b'), TypeError);
    }));

  test('code of the caller may load, remove and dispose', () =>
    scoped(async (own) => {
      const file = fileOf(updates(90));
      const layer = makeLayer(own);
      const hostile = new Proxy(
        {},
        {
          ownKeys: () => {
            layer.loadLora('a', file);
            return [];
          },
        },
      );
      assertThrows(() => layer.loadLora('a', hostile), WeightsError);
      assert.deepEqual(layer.loras, ['a']);
      const scales = {
        get a() {
          layer.removeLora('a');
          return 2;
        },
      };
      assertThrows(() => layer.setLoraScales(scales), ArgumentError, '"a"');
      const opened = await WeightFile.open(file);
      const loads = [1, 2].map(() => layer.loadLoraFrom('twice', opened));
      const outcomes = await Promise.allSettled(loads);
      assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
      const late = layer.loadLoraFrom('late', opened);
      layer.dispose();
      await assertRejects(() => late, DisposedError);
      opened.close();
    }));

  test('a disposed layer', () =>
    scoped(async (own) => {
      const layer = makeLayer(own);
      const file = fileOf(updates(95));
      layer.loadLora('a', file);
      layer.dispose();
      const opened = await WeightFile.open(file);
      for (const work of [
        () => layer.loadLora('b', file),
        () => layer.setLoraScales({ a: 1 }),
        () => layer.removeLora('a'),
        () => layer.mergeLoras(),
        () => layer.loras,
      ]) {
        assertThrows(work, DisposedError);
      }
      await assertRejects(() => layer.loadLoraFrom('b', opened), DisposedError);
      opened.close();
      assertThrows(() => layer.loadLora.call({}, 'a', file), ArgumentError, 'this');
      assertThrows(() => layer.loadLora.call(new Proxy(layer, {}), 'a', file), ArgumentError, 'proxy');
    }));
});

test('memory: only while a LoRA is loaded, and an effective copy only while one has an effect', () =>
  scoped((own) => {
    const layer = makeLayer(own);
    const run = () => {
      const input = Tensor.randn([1, 9, queryDim], { seed: 1 });
      const context = Tensor.randn([1, 5, contextDim], { seed: 2 });
      for (const tensor of [layer.forwardWithContext(input, context), input, context]) tensor.dispose();
      layer.resetState();
    };
    run();
    const bytes = memoryInUse();
    const all = updates(100);
    const factors = Object.values(all).reduce(
      (sum, { down, up }) => sum + down.flat().length + up.flat().length,
      0,
    );
    layer.loadLora('a', fileOf(all), { scale: 0 });
    run();
    const loaded = memoryInUse() - bytes;
    // Each buffer is rounded up to 64 bytes.
    assert.ok(
      loaded >= 4 * factors && loaded < 4 * factors + 64 * 8,
      `${loaded} bytes for ${factors} numbers`,
    );
    assert.equal(Number(layer.getDiagnostics().loraBytes), 4 * factors);
    layer.setLoraScales({ a: 1 });
    run();
    const effective = memoryInUse() - bytes - loaded;
    const copy = 4 * layer.parameterCount;
    assert.ok(effective >= copy && effective < copy + 1024, `${effective} bytes for a copy of ${copy}`);
    layer.setLoraScales({ a: 0 });
    run();
    assert.equal(memoryInUse(), bytes + loaded);
    layer.removeLora('a');
    run();
    assert.equal(memoryInUse(), bytes);
    assert.equal(layer.getDiagnostics().loraBytes, undefined);
  }));

test('compiled graphs compute with the weights of their compilation or refresh', () =>
  scoped(async (own) => {
    const layer = makeLayer(own);
    const nodes = [];
    const output = layer.exportComputationGraph(nodes);
    const graph = own(
      await compile(output, nodes, {
        inputShapes: [
          [1, 6, queryDim],
          [1, 5, contextDim],
        ],
      }),
    );
    const input = own(Tensor.randn([1, 6, queryDim], { seed: 1 }));
    const context = own(Tensor.randn([1, 5, contextDim], { seed: 2 }));
    const before = own(graph.run(input, context)).data();
    layer.loadLora('a', fileOf(updates(110)));
    assertThrows(() => graph.run(input, context), ArgumentError, 'refresh');
    graph.refresh();
    assert.notDeepEqual(own(graph.run(input, context)).data(), before);
    layer.removeLora('a');
    graph.refresh();
    assertSameBits(own(graph.run(input, context)).data(), before, 'output');
  }));

test('a call in progress keeps the weights of its start', () =>
  scoped(async (own) => {
    const layer = makeLayer(own);
    const input = own(Tensor.randn([1, 400, queryDim], { seed: 1 }));
    const context = own(Tensor.randn([1, 5, contextDim], { seed: 2 }));
    const before = own(layer.forwardWithContext(input, context)).data();
    const call = layer.forwardAsync(input, context);
    layer.loadLora('a', fileOf(updates(120)));
    assertSameBits(own(await call).data(), before, 'output');
    const changed = own(layer.forwardWithContext(input, context)).data();
    const second = layer.forwardAsync(input, context);
    layer.removeLora('a');
    assertSameBits(own(await second).data(), changed, 'output');
  }));
