// Trains with the package: in WebAssembly, or on a GPU with WebGPU.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { buildDist } from '../lib/build.mjs';
import { SetUpError } from '../lib/steps.mjs';

/** Writes a file atomically: a crash leaves the old file. */
function write(file, bytes) {
  writeFileSync(`${file}.unfinished`, bytes);
  renameSync(`${file}.unfinished`, file);
}

function makeModel(Denoiser, settings) {
  if (settings.from !== undefined) return Denoiser.load(readFileSync(settings.from));
  return Denoiser.create({
    pixelFeatures: settings['pixel-features'],
    pixelBlocks: settings['pixel-blocks'],
    features: settings.features,
    blocks: settings.blocks,
    heads: settings.heads,
    seed: settings.seed,
  });
}

const makeTrainer = (model, settings) =>
  model.trainer({
    seed: settings.seed,
    batch: settings.batch,
    emaDecay: settings['average-decay'],
    singles: settings.singles,
    insides: settings.insides,
    timeMean: settings['time-mean'],
    timeDeviation: settings['time-deviation'],
    alignment: settings.alignment,
  });

/** Maximum number of steps in flight: the GPU computes while the CPU draws the scenes of the next step. */
const maxPendingSteps = 2;

/**
 * Runs the remaining steps. `engine`: {step(learningRate), synchronize()}; synchronize updates the trainer
 * after the last step. `save` is called every --save-every steps and at the end.
 */
async function runSteps(settings, learningRate, trainer, engine, save, progress) {
  const { steps, fall, 'save-every': saveEvery } = settings;
  const rates = {
    max: settings['learning-rate'],
    warmUp: settings['warm-up'],
    steps,
    fall,
  };
  const pending = [];
  let last = performance.now();
  const finishOne = async () => {
    const { step, loss } = await pending.shift();
    const now = performance.now();
    progress.add({ step, loss, seconds: (now - last) / 1000 });
    last = now;
  };
  for (let step = trainer.steps; step < steps; ++step) {
    pending.push(engine.step(learningRate(step, rates)));
    const shouldSave = (step + 1) % saveEvery === 0 || step + 1 === steps;
    while (pending.length >= (shouldSave ? 1 : maxPendingSteps)) await finishOne();
    if (!shouldSave) continue;
    await engine.synchronize();
    save();
  }
}

/**
 * Trains a model. `settings`: the values of options.mjs. `start(trainer)` resolves to an engine of runSteps.
 */
export async function train(settings, { checkpoint, weights }, progress, start) {
  const { Denoiser, init, learningRate } = await import('diffusion-cross-attention/denoiser');
  await init({ threads: settings.threads });
  const owned = [makeModel(Denoiser, settings)];
  try {
    const [model] = owned;
    const trainer = makeTrainer(model, settings);
    owned.push(trainer);
    if (existsSync(checkpoint)) trainer.loadCheckpoint(readFileSync(checkpoint));
    const engine = await start(trainer);
    const save = () => {
      write(checkpoint, trainer.saveCheckpoint());
      write(
        weights,
        trainer.withEma(() => model.save()),
      );
    };
    progress.begin({
      parameters: model.parameterCount,
      step: trainer.steps,
      steps: settings.steps,
    });
    await runSteps(settings, learningRate, trainer, engine, save, progress);
  } finally {
    progress.end();
    owned.reverse().forEach((each) => each.dispose());
  }
}

export const inWasm = async (trainer) => ({
  step: async (learningRate) => trainer.step(learningRate),
  synchronize: async () => {},
});

export async function trainInWasm(settings, files, progress) {
  await buildDist();
  await train(settings, files, progress, inWasm);
}

export async function onWebGpu(trainer) {
  try {
    const training = await trainer.onWebGPU();
    console.log(`  GPU: ${training.description}`);
    return training;
  } catch (error) {
    if (error.code !== 'ERR_DEVICE') throw error;
    throw new SetUpError(`--engine is webgpu, which requires a GPU and its driver: ${error.message}`);
  }
}

/** Defines navigator.gpu, as in a page, with Dawn (npm package `webgpu`). */
async function provideWebGpu() {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  globalThis.navigator ??= {};
  Object.defineProperty(globalThis.navigator, 'gpu', { value: create([]), configurable: true });
}

export async function trainByWebGpu(settings, files, progress) {
  await buildDist();
  await provideWebGpu();
  await train(settings, files, progress, onWebGpu);
}
