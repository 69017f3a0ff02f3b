// Random programs of calls, changes and disposals, which check that each call computes with the values at the
// time at which it was made. The same calls of a second layer, synchronous and in the same order, give the
// expected results.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AdamOptimizer, compile, DiffusionCrossAttention, Tensor } from 'diffusion-cross-attention';

const [queryDim, contextDim, numHeads, side, keys] = [32, 24, 4, 12, 9];
const inputShape = [2, queryDim, side, side];
const contextShape = [2, keys, contextDim];

/** A layer, and its compiled graphs: of a constant context, and of a context per run. */
async function makeModel(context, own) {
  const layer = own(new DiffusionCrossAttention(queryDim, contextDim, numHeads, side, { seed: 1 }));
  const nodes = [];
  const output = layer.exportComputationGraph(nodes);
  // A measured association may differ between two compilations, and with it the bits.
  const options = { inputShapes: [inputShape, contextShape], association: 'plain' };
  const constants = new Map([[nodes[1], context]]);
  const graphs = [
    own(await compile(output, nodes, { ...options, constants })),
    own(await compile(output, nodes, options)),
  ];
  return { layer, graphs };
}

const changes = {
  setParameters: (layer, value) => layer.setParameters(layer.getParameters().map((old) => old * value)),
  setParameter: (layer, value) => {
    const tensor = Tensor.full([queryDim], value);
    layer.setParameter('to_out.0.bias', tensor);
    tensor.dispose();
  },
  updateParameters: (layer, value) => layer.updateParameters(0.01 * value),
  step: (layer, value) => {
    const optimizer = new AdamOptimizer(layer, { learningRate: 0.01, weightDecay: value });
    optimizer.step();
    optimizer.dispose();
  },
  loadWeights: (layer, value) => {
    const tensor = Tensor.full([queryDim, queryDim], value / 8);
    layer.loadWeights({ 'to_q.weight': tensor }, { strict: false });
    tensor.dispose();
  },
  lora: (layer, value) => {
    if (layer.loras.includes('a')) {
      layer.setLoraScales({ a: value });
      return;
    }
    const tensors = {
      'to_k.lora_A.weight': Tensor.randn([2, contextDim], { seed: 31 }),
      'to_k.lora_B.weight': Tensor.randn([queryDim, 2], { seed: 32 }),
    };
    layer.loadLora('a', tensors, { scale: value });
    for (const tensor of Object.values(tensors)) tensor.dispose();
  },
  removeLora: (layer) => layer.loras.forEach((name) => layer.removeLora(name)),
  mergeLoras: (layer) => layer.mergeLoras(),
  refresh: (_layer, _value, graphs) => graphs.forEach((graph) => graph.refresh()),
  resetState: (layer) => layer.resetState(),
  clearGradients: (layer) => layer.clearGradients(),
  training: (layer, value) => (layer.training = value > 1),
};

/**
 * Programs: lists of actions. `devices` and `locations`: those of the calls and of their tensors; undefined
 * for the defaults.
 */
export function programs({ devices = [undefined], locations = ['wasm'] } = {}) {
  const call = {
    seed: fc.integer({ min: 0, max: 2 }),
    device: fc.constantFrom(...devices),
    location: fc.constantFrom(...locations),
    dispose: fc.boolean(),
  };
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('forward'), ...call }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('run'), graph: fc.nat(1), ...call }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('turns'), count: fc.integer({ min: 1, max: 4 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom('change'),
        how: fc.constantFrom(...Object.keys(changes)),
        value: fc.constantFrom(0.5, 1.5),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('synchronous'), seed: call.seed }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('backward'), ...call }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'settle' }) },
  );
  return fc.record({ actions: fc.array(action, { minLength: 3, maxLength: 14 }), layerFirst: fc.boolean() });
}

const outcome = async (promise) =>
  promise.then(
    (tensor) => ({ tensor }),
    (error) => ({ error: error.code ?? String(error) }),
  );

/**
 * Plays a program. `compare(actual, expected, what)` asserts that two arrays of numbers agree. `onCall` is
 * called after each asynchronous call.
 */
export async function play({ actions, layerFirst }, { own, compare, onCall = () => {} }) {
  const contexts = [0, 1, 2].map((seed) => own(Tensor.randn(contextShape, { seed: 20 + seed })));
  const inputs = [0, 1, 2].map((seed) => own(Tensor.randn(inputShape, { seed: 10 + seed })));
  const tested = await makeModel(contexts[0], own);
  const model = await makeModel(contexts[0], own);
  const pending = [];

  /** Starts a call, disposes of its tensors at once if the action says so, and notes what it must give. */
  const start = async (what, { location, dispose }, tensors, call, expect) => {
    const own = await Promise.all(tensors.map((tensor) => tensor.to(location)));
    let expected;
    try {
      const tensor = expect();
      expected = { data: tensor.data() };
      tensor.dispose();
    } catch (error) {
      expected = { error: error.code };
    }
    const result = outcome(call(...own));
    onCall(what);
    if (dispose) own.forEach((tensor) => tensor.dispose());
    pending.push({ what, result, expected, tensors: own });
  };

  const settle = async () => {
    for (const { what, result, expected, tensors } of pending.splice(0)) {
      const { tensor, error } = await result;
      const data = tensor && (await tensor.dataAsync());
      tensor?.dispose();
      tensors.forEach((each) => each.dispose());
      assert.equal(error, expected.error, what);
      if (expected.data) compare(data, expected.data, what);
    }
  };

  for (const [index, action] of actions.entries()) {
    const { kind, seed, device, graph } = action;
    const what = `action ${index}, ${kind}`;
    if (kind === 'forward') {
      await start(
        what,
        action,
        [inputs[seed], contexts[seed]],
        (input, context) => tested.layer.forwardAsync(input, context, { device }),
        () => model.layer.forwardWithContext(inputs[seed], contexts[seed]),
      );
    } else if (kind === 'run') {
      const needed = (input, context) => (graph === 0 ? [input] : [input, context]);
      await start(
        what,
        action,
        needed(inputs[seed], contexts[seed]),
        (...tensors) => tested.graphs[graph].runAsync(...tensors),
        () => model.graphs[graph].run(...needed(inputs[seed], contexts[seed])),
      );
    } else if (kind === 'backward') {
      // A gradient is known only after its forward.
      await settle();
      await start(
        what,
        { ...action, location: 'wasm' },
        [inputs[seed]],
        (gradient) => tested.layer.backwardAsync(gradient, { device }),
        () => model.layer.backward(inputs[seed]),
      );
      await settle();
      compare(
        tested.layer.getParameterGradients(),
        model.layer.getParameterGradients(),
        `${what}, parameters`,
      );
      const [actual, expected] = [tested, model].map(({ layer }) => layer.contextGradient?.data() ?? []);
      compare(actual, expected, `${what}, context`);
    } else if (kind === 'synchronous') {
      const [actual, expected] = [tested, model].map(({ layer }) =>
        own(layer.forwardWithContext(inputs[seed], contexts[seed])),
      );
      compare(actual.data(), expected.data(), what);
    } else if (kind === 'change') {
      for (const { layer, graphs } of [tested, model]) changes[action.how](layer, action.value, graphs);
    } else if (kind === 'turns') {
      for (let turn = 0; turn < action.count; ++turn) await new Promise((resolve) => setImmediate(resolve));
    } else {
      await settle();
    }
  }
  const owners = [tested.layer, ...tested.graphs];
  for (const owner of layerFirst ? owners : owners.toReversed()) owner.dispose();
  await settle();
}
