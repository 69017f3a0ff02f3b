// The public surface of the package: all functions, classes, methods and accessors of the entries, with the
// kinds of their arguments. surface_fuzz.mjs calls them.
import * as main from 'diffusion-cross-attention';
import * as denoiser from 'diffusion-cross-attention/denoiser';
import * as onnx from 'diffusion-cross-attention/onnx';

export const entries = { main, onnx, denoiser };

const isClass = (value) =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

/** Members that are marked @internal: the declared types do not have them. */
const internal = new Set([
  ...['getHandle', 'isTensor', 'isNode', 'isRecorder', 'isWeightFile', 'stateOf', 'wrap'],
  ...['accelerated', 'content', 'generation', 'keys', 'origin'],
]);

function membersOf(owner, prefix, kinds) {
  return Reflect.ownKeys(owner)
    .filter((key) => !['constructor', 'prototype', 'length', 'name', Symbol.toStringTag].includes(key))
    .filter((key) => !internal.has(key))
    .flatMap((key) => {
      const { value, get, set } = Object.getOwnPropertyDescriptor(owner, key);
      const name = `${prefix}${String(key)}`;
      return [
        ...(typeof value === 'function' ? [{ id: name, kind: kinds.call, owner, key }] : []),
        ...(get === undefined ? [] : [{ id: `get ${name}`, kind: 'get', owner, key }]),
        ...(set === undefined ? [] : [{ id: `set ${name}`, kind: 'set', owner, key }]),
      ];
    });
}

/** Returns the prototypes of a class and of its base classes, except those of the language. */
function prototypesOf(value) {
  const isOurs = (type) => !/\[native code\]/.test(Function.prototype.toString.call(type));
  return typeof value === 'function' && isOurs(value) && value.prototype !== undefined
    ? [value.prototype, ...prototypesOf(Object.getPrototypeOf(value))]
    : [];
}

/** Returns everything that the entries export: { id, kind, owner, key }. */
export function exported() {
  const all = new Map();
  for (const [entry, exports] of Object.entries(entries)) {
    for (const [name, value] of Object.entries(exports)) {
      // The error classes are the same in all entries.
      const id = `${entry}.${name}`;
      const isShared = entry !== 'main' && main[name] === value;
      if (typeof value !== 'function' || isShared) continue;
      const found = isClass(value)
        ? [
            { id: `new ${id}`, kind: 'new', owner: exports, key: name },
            ...membersOf(value, `${id}.`, { call: 'call' }),
            ...prototypesOf(value).flatMap((owner) => membersOf(owner, `${id}#`, { call: 'method' })),
          ]
        : [{ id, kind: 'call', owner: exports, key: name }];
      for (const member of found) all.set(member.id, member);
    }
  }
  return all;
}

/** Kinds of arguments. `make(world, pick)` returns a valid value; `pick` chooses one of several. */
const of = (...choices) => ({ make: (_, pick) => choices[pick % choices.length] });
const from = (make) => ({ make });
const record = (fields, required = []) => ({ fields, required });
const list = (...elements) => ({ elements });

const size = of(1, 2, 4, 8);
const seed = of(0, 1, 7);
const share = of(0, 0.5, 1);
const flag = of(true, false);
const rate = of(0, 1e-3);
const shape = { ...list(size, size), also: [from(() => [1, 4, 8]), from(() => new Int32Array([2, 2]))] };
const dtype = of('float32', 'float64');
const device = of('wasm', 'auto', undefined);
const numbers = from((_, pick) => [[1, 2, 3, 4], new Float32Array(4), [true, false], [1n]][pick % 4]);
const name = of('to_q.weight', 'to_out.0.bias', 'other');
const only = list(of('to_q.weight', 'to_out.0.bias'), of('to_k.weight'));
const input = from((world, pick) => world.get(pick % 2 === 0 ? 'input' : 'image'));
const context = from((world, pick) => (pick % 3 === 0 ? null : world.get('context')));
const mask = from((world, pick) => (pick % 2 === 0 ? null : world.get('mask')));
const gradient = from((world) => world.get('input'));
const anyTensor = from((world, pick) => world.get(['input', 'image', 'context', 'mask'][pick % 4]));
const recorder = from((world) => world.get('recorder'));
const recorded = {
  ...record({ recorder, name: of('down', 'mid'), rows: of('all') }, ['recorder']),
  also: [of(undefined)],
};
const attention = record({ mask, causal: flag, record: recorded });
const attentionAsync = record({
  ...{ mask, causal: flag, record: recorded },
  ...{ device, location: of('wasm', undefined) },
});
const recorderOptions = record({ size, groups: record({ cat: list(of(0), of(2)) }, ['cat']) }, [
  'size',
  'groups',
]);
const mapping = from((_, pick) => [(found) => found, () => null, undefined][pick % 3]);
const naming = record({ prefix: of('', 'a.'), mapping, strict: flag });
const weights = from((world, pick) => world.weights(pick));
const loraName = of('a', 'b');
const loraWeights = from((world) => world.get('layerLora'));
const loraOptions = record({ prefix: of('', 'x.'), scale: of(0, 0.5) });
const nodes = from((world) => world.get('nodes').inputs);
const output = from((world) => world.get('nodes').output);
const inputShapes = {
  ...list(
    from(() => [1, 4, 8]),
    from(() => [1, 3, 6]),
  ),
};
const constants = from((world, pick) =>
  pick % 2 === 0 ? undefined : new Map([[world.get('nodes').inputs[1], world.get('context')]]),
);
const passes = record({ fuseAttention: flag, keepLayout: flag, foldConstants: flag });
const compileOptions = record(
  { inputShapes, constants, association: of('auto', 'plain', 'folded'), measure: of(false), passes, device },
  ['inputShapes', 'measure'],
);
const buffer = record({ size: of(64), usage: of(0xff) }, ['size', 'usage']);
const moduleOptions = { threads: of(1, 'auto'), simd: of('auto'), wasmBaseUrl: of(undefined) };
const initOptions = record({
  ...moduleOptions,
  wasmBinary: of(undefined),
  workerUrl: of(undefined),
  device: of('wasm'),
  gpuDevice: of(undefined),
  gpuPrecision: of('float32'),
});
const layerOptions = record({ dtype, seed, scale: of(1), blockSizeQ: size, blockSizeKV: size });
const graphOptions = record({ name: of('attention'), mask: flag });
const openOptions = record({ signal: of(undefined), fetch: of(undefined), timeout: of(1000) });
const source = {
  ...from((world) => world.get('file')),
  also: [from((world) => new Blob([world.get('file')]))],
};
const compiledInputs = [from((world) => world.get('input')), from((world) => world.get('context'))];
const toOnnxOptions = record({ opset: of(13, 17), attention: of(undefined) });
const importOptions = record({ dtype, externalData: record({}), strict: flag, names: of(/attn/, undefined) });

const message = of('text');
const path = 'main.DiffusionCrossAttention';
const signaturesOfMain = {
  init: [initOptions],
  memoryInUse: [],
  gpuMemoryInUse: [],
  synchronize: [],
  compile: [output, nodes, compileOptions],
  composeGraph: [
    list(from((world) => world.get('layer'))),
    record({ names: list(of('a')), mask: of(true, false, 'shared') }),
  ],
  toOnnx: [output, nodes, toOnnxOptions],
};
const signaturesOfTensor = {
  'main.Tensor.from': [numbers, shape, dtype],
  'main.Tensor.zeros': [shape, dtype],
  'main.Tensor.full': [shape, of(1, NaN), dtype],
  'main.Tensor.randn': [shape, record({ seed, mean: of(0), std: of(1), dtype })],
  'main.Tensor.fromGpuBuffer': [buffer, shape],
  'main.Tensor#to': [of('wasm')],
  'main.Tensor#reshape': [{ ...list(of(-1), size), also: [from(() => [-1])] }],
};
const signaturesOfLayer = {
  [`new ${path}`]: [of(8, 16), of(6), of(2), of(8), layerOptions],
  [`set ${path}#training`]: [flag],
  [`${path}#forward`]: [input],
  [`${path}#forwardWithContext`]: [input, context, attention],
  [`${path}#forwardAsync`]: [input, context, attentionAsync],
  [`${path}#backward`]: [gradient],
  [`${path}#backwardAsync`]: [gradient, record({ device, location: of('wasm', undefined) })],
  [`${path}#setParameters`]: [from((world) => world.parameters())],
  [`${path}#updateParameters`]: [rate, record({ only })],
  [`${path}#setTrainableParameters`]: [only],
  [`${path}#getParameterShape`]: [name],
  [`${path}#getParameter`]: [name],
  [`${path}#setParameter`]: [name, anyTensor],
  [`${path}#validateWeights`]: [{ ...list(name, name), also: [weights] }, mapping],
  [`${path}#loadWeights`]: [weights, naming],
  [`${path}#loadWeightsFrom`]: [from((world) => world.get('weightFile')), naming],
  [`${path}#loadLora`]: [loraName, loraWeights, loraOptions],
  [`${path}#loadLoraFrom`]: [loraName, from((world) => world.get('weightFile')), loraOptions],
  [`${path}#setLoraScales`]: [record({ a: of(0, 1), b: of(0.5) })],
  [`${path}#removeLora`]: [loraName],
  [`${path}#saveWeights`]: [record({ prefix: of('a.'), dtype: of('F32', 'F16') })],
  [`${path}#attentionMaps`]: [input, context, record({ mask, causal: flag, heads: of('mean', 'all') })],
  [`${path}#exportComputationGraph`]: [list(), graphOptions],
};
const betas = list(of(0.9, 0), of(0.999));
const adamOptions = record({ learningRate: rate, betas, epsilon: of(1e-8), weightDecay: of(0, 0.1), only });
const signaturesOfAdam = {
  'new main.AdamOptimizer': [from((world) => world.get('layer')), adamOptions],
  'main.AdamOptimizer#step': [record({ learningRate: rate })],
  'main.AdamOptimizer#loadState': [from((world) => world.get('adamState'))],
};
const signaturesOfRecorder = {
  'new main.AttentionRecorder': [recorderOptions],
  'main.AttentionRecorder#heatMap': [of('cat'), record({ normalize: flag, names: list(of('down', 'mid')) })],
  'main.AttentionRecorder#overlay': [of('cat'), size, size],
};
const signaturesOfGraphs = {
  'main.CompiledGraph#run': compiledInputs,
  'main.CompiledGraph#runAsync': compiledInputs,
  'main.CompiledGraph#runOutput': [of(0), ...compiledInputs],
  'main.CompiledGraph#runOutputAsync': [of(0), ...compiledInputs],
  'main.CompiledGraph#explain': [of(0)],
  'main.WeightFile.open': [source, openOptions],
  'main.WeightFile#shapeOf': [name],
  'main.WeightFile#storedTypeOf': [name],
  'main.WeightFile#read': [name],
  'onnx.fromOnnx': [from((world) => world.get('onnx')), importOptions],
  'onnx.toOnnx': [output, nodes, toOnnxOptions],
};

const use = from((world, pick) => [() => 1, () => world.get('sampler').advance()][pick % 2]);
const prompt = of('a red circle', 'red circle', '');
const samplerOptions = record(
  {
    prompt,
    seed,
    steps: of(1, 2),
    guidance: of(1, 3),
    eta: share,
    wordWeights: list(of(1), of(1), of(2)),
    edit: record(
      { from: prompt, wordWeights: list(of(1)), crossSteps: share, selfSteps: share, keepElsewhere: flag },
      ['from'],
    ),
    maps: flag,
  },
  ['prompt', 'steps'],
);
const trainerOptions = record(
  {
    ...{ seed, batch: of(1), emaDecay: share, averageDecay: share, singles: of(0), insides: of(0) },
    ...{ timeMean: of(0), timeDeviation: of(1), alignment: of(0) },
  },
  ['batch'],
);
const tunerOptions = record(
  {
    ...{ word: of('heart'), like: of('circle'), pictures: list(from(() => new Float32Array(3 * 32 * 32))) },
    ...{ captions: list(of('a heart')), rank: of(1), learningRate: rate, batch: of(1), rehearsal: of(0) },
    ...{ shift: of(0), seed },
  },
  ['word', 'pictures', 'batch', 'rank'],
);
const sizes = Object.fromEntries(
  ['pixelFeatures', 'features', 'textFeatures'].map((option) => [option, of(8, 16)]),
);
const denoiserOptions = record(
  { imageSize: of(32), ...sizes, pixelBlocks: of(0), patch: of(8), blocks: of(1), heads: of(2), seed },
  ['features', 'textFeatures', 'pixelFeatures', 'blocks', 'patch'],
);
const model = 'denoiser.Denoiser';
const signaturesOfDenoiser = {
  'denoiser.init': [record(moduleOptions)],
  'denoiser.learningRate': [
    of(0, 5),
    record({ max: rate, warmUp: of(1), steps: of(10), fall: share }, ['steps']),
  ],
  'denoiser.randomScene': [record({ seed, split: of('training', 'heldOut'), objects: of(0, 2) })],
  [`${model}.load`]: [from((world) => world.get('modelFile'))],
  [`${model}.create`]: [denoiserOptions],
  [`${model}#splitWords`]: [prompt],
  [`${model}#unknownWords`]: [prompt],
  [`${model}#sampler`]: [samplerOptions],
  [`${model}#trainer`]: [trainerOptions],
  [`${model}#fineTuner`]: [tunerOptions],
  [`${model}#learner`]: [tunerOptions],
  [`${model}#loadLora`]: [from((world) => world.get('loraFile'))],
  [`set ${model}#loraScale`]: [share],
  [`${model}#save`]: [record({ dtype: of('float32', 'float16') })],
};

/**
 * Classes without a name of their own among the exports: objects of them, by the class that the key of the
 * world has.
 */
const inner = {
  'denoiser.Trainer': {
    step: [rate],
    withEma: [use],
    withAverages: [use],
    loadCheckpoint: [from((world) => world.get('checkpoint'))],
    onWebGPU: [record({ gpuDevice: of(undefined) })],
  },
  'denoiser.FineTuner': { step: [share] },
  'denoiser.Sampler': { maps: [record({ block: of(0), head: of(0) })] },
};

const signatures = {
  ...Object.fromEntries(Object.entries(signaturesOfMain).map(([key, value]) => [`main.${key}`, value])),
  ...signaturesOfTensor,
  ...signaturesOfLayer,
  ...signaturesOfAdam,
  ...signaturesOfRecorder,
  ...signaturesOfGraphs,
  ...signaturesOfDenoiser,
};

/** Arguments of constructors that are not public, and of those of errors. */
const constructors = [of(Symbol('internal'), undefined), message, message];

/**
 * Returns all members with their arguments: { id, kind, owner, key, receiver, parameters }. `receiver` is the
 * key of the world's object that a method is called on. Throws if a method has arguments that are not
 * described here. `world`: an object with get(), as of surface_world.mjs.
 */
export function surface(world) {
  const members = exported();
  for (const type of Object.keys(inner)) {
    const prototype = Object.getPrototypeOf(world.get(receiverOf(type)));
    for (const member of membersOf(prototype, `${type}#`, { call: 'method' })) members.set(member.id, member);
  }
  const described = { ...signatures };
  for (const [type, methods] of Object.entries(inner)) {
    for (const [key, parameters] of Object.entries(methods)) described[`${type}#${key}`] = parameters;
  }
  for (const id of Object.keys(described)) if (!members.has(id)) throw new Error(`${id} is not exported`);
  return [...members.values()].map((member) => {
    const parameters = described[member.id] ?? (member.kind === 'new' ? constructors : []);
    const count = member.kind === 'method' || member.kind === 'call' ? member.owner[member.key].length : 0;
    // Guarded methods have rest parameters, so that this finds functions and static methods only.
    if (count > parameters.length) throw new Error(`${member.id} has arguments that surface.mjs lacks`);
    const [, type] = /^(?:[gs]et )?(\S+)#/.exec(member.id) ?? [];
    return { ...member, parameters, receiver: type === undefined ? null : receiverOf(type) };
  });
}

/** The key of the world's object of a class. */
function receiverOf(type) {
  const name = type.slice(type.indexOf('.') + 1);
  const keys = {
    Tensor: 'input',
    DiffusionCrossAttention: 'layer',
    ComputationNode: 'node',
    AttentionRecorder: 'recorder',
  };
  return keys[name] ?? `${name[0].toLowerCase()}${name.slice(1)}`;
}
