// The objects of one run of surface_fuzz.mjs: small ones of every class, made when they are first needed.
import {
  AdamOptimizer,
  AttentionRecorder,
  compile,
  DiffusionCrossAttention,
  memoryInUse,
  Tensor,
  toOnnx,
  WeightFile,
} from './package.mjs';
import { writeSafetensors } from './safetensors.mjs';
import { Denoiser, memoryInUse as denoiserMemoryInUse, smallOptions } from './denoiser.mjs';

/** Also of a layer, which has no property for that. */
export function isDisposed(object) {
  if (!(object instanceof DiffusionCrossAttention)) return object.disposed === true;
  try {
    return object.getParameterNames() === null;
  } catch {
    return true;
  }
}

const layerOf = () => new DiffusionCrossAttention(8, 6, 2, 8, { seed: 1 });

function nodesOf(layer) {
  const inputs = [];
  const output = layer.exportComputationGraph(inputs);
  return { inputs, output };
}

/** Files, which are the same in every run. */
const files = (() => {
  const layer = layerOf();
  const model = Denoiser.create({ ...smallOptions, features: 16, textFeatures: 16, blocks: 1, patch: 8 });
  const trainer = model.trainer({ batch: 1 });
  const file = layer.saveWeights();
  const optimizer = new AdamOptimizer(layer);
  const adamState = optimizer.saveState();
  const { inputs, output } = nodesOf(layer);
  const onnx = toOnnx(output, inputs);
  const modelFile = model.save();
  const checkpoint = trainer.saveCheckpoint();
  trainer.dispose();
  const tuner = model.fineTuner({
    word: 'heart',
    pictures: [new Float32Array(3 * 32 * 32)],
    batch: 1,
    rank: 1,
  });
  const loraFile = model.saveLora();
  for (const object of [tuner, model, optimizer, layer]) object.dispose();
  const ones = (shape) => ({ dtype: 'F32', shape, values: new Array(8).fill(1) });
  const layerLora = writeSafetensors({
    'to_q.lora_A.weight': ones([1, 8]),
    'to_q.lora_B.weight': ones([8, 1]),
  });
  return { file, adamState, onnx, modelFile, checkpoint, loraFile, layerLora };
})();
const loraWord = 'heart';

const makers = {
  ...Object.fromEntries(Object.entries(files).map(([key, bytes]) => [key, () => bytes.slice()])),
  input: () => Tensor.randn([1, 4, 8], { seed: 1 }),
  image: () => Tensor.randn([1, 8, 2, 2], { seed: 2 }),
  context: () => Tensor.randn([1, 3, 6], { seed: 3 }),
  mask: () => Tensor.from([1, 0, 1], [1, 3]),
  layer: layerOf,
  adamOptimizer: (world) => new AdamOptimizer(world.alive('layer')),
  recorder: () => new AttentionRecorder({ size: 4, groups: { cat: [0, 2] } }),
  nodes: (world) => nodesOf(world.alive('layer')),
  node: (world) => world.get('nodes').output,
  denoiser: () => Denoiser.load(files.modelFile),
  sampler: (world) => world.alive('denoiser').sampler({ prompt: 'a red circle', steps: 2 }),
  // Of another denoiser, which has no FineTuner.
  trainer: (world) => world.own(Denoiser.load(files.modelFile)).trainer({ batch: 1 }),
  fineTuner: (world) => {
    const model = world.own(Denoiser.load(files.modelFile));
    const pictures = [new Float32Array(3 * 32 * 32)];
    return model.fineTuner({ word: loraWord, pictures, batch: 1, rank: 1 });
  },
};

export class World {
  /** All objects that must be disposed. */
  live = [];
  #made = new Map();

  /** Makes the objects whose making is asynchronous. */
  static async create({ graph = true } = {}) {
    const world = new World();
    if (!graph) return world;
    const { inputs, output } = world.get('nodes');
    const inputShapes = [
      [1, 4, 8],
      [1, 3, 6],
    ];
    world.#made.set(
      'compiledGraph',
      world.own(await compile(output, inputs, { inputShapes, measure: false })),
    );
    world.#made.set('weightFile', world.own(await WeightFile.open(files.file)));
    return world;
  }

  /** Returns the object of a name. */
  get(key) {
    if (!this.#made.has(key)) this.#made.set(key, this.own(makers[key](this)));
    return this.#made.get(key);
  }

  /** Returns the object of a name, or another one if that was disposed. */
  alive(key) {
    if (isDisposed(this.get(key))) this.#made.delete(key);
    return this.get(key);
  }

  own(object) {
    const isOwned = typeof (object?.dispose ?? object?.close) === 'function';
    if (isOwned && !this.live.includes(object)) this.live.push(object);
    return object;
  }

  weights(pick) {
    if (pick % 3 === 0) return this.get('file');
    const layer = this.alive('layer');
    const tensors = layer.getParameterNames().map((name) => [name, this.own(layer.getParameter(name))]);
    return pick % 3 === 1 ? new Map(tensors) : Object.fromEntries(tensors);
  }

  parameters() {
    return new Float32Array(8 * 8 + 2 * 8 * 6 + 8 * 8 + 8).fill(0.5);
  }

  /** Bytes in use in both modules. */
  static memoryInUse = () => memoryInUse() + denoiserMemoryInUse();
}
