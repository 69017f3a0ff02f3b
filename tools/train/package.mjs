// Training with the package, as a page has it: in WebAssembly, or by WebGPU on a graphics card.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { buildDist } from '../lib/build.mjs';
import { SetUpError } from '../lib/steps.mjs';

/** First beside the file, then in its place: a crash leaves the old one. */
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
    averageDecay: settings['average-decay'],
    singles: settings.singles,
    insides: settings.insides,
    timeMean: settings['time-mean'],
    timeDeviation: settings['time-deviation'],
    alignment: settings.alignment,
  });

/** How many steps are asked for before the first of them is done: a card computes while the next scenes are drawn. */
const stepsAhead = 2;

/**
 * Takes the steps that are left. `engine`: {step(learningRate), synchronize()}; after the latter the trainer knows of all
 * steps. `save` is called every so many steps and at the end.
 */
async function takeSteps(settings, learningRate, trainer, engine, save, progress) {
  const { steps, fall, 'save-every': saveEvery } = settings;
  const rates = {
    most: settings['learning-rate'],
    warmUp: settings['warm-up'],
    steps,
    fall,
  };
  const asked = [];
  let last = performance.now();
  const finishOne = async () => {
    const { step, loss } = await asked.shift();
    const now = performance.now();
    progress.add({ step, loss, seconds: (now - last) / 1000 });
    last = now;
  };
  for (let step = trainer.steps; step < steps; ++step) {
    asked.push(engine.step(learningRate(step, rates)));
    const isToSave = (step + 1) % saveEvery === 0 || step + 1 === steps;
    while (asked.length >= (isToSave ? 1 : stepsAhead)) await finishOne();
    if (!isToSave) continue;
    await engine.synchronize();
    save();
  }
}

/** `settings`: the values of options.mjs. `start(trainer)` resolves to an engine of takeSteps. */
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
        trainer.withAverages(() => model.save()),
      );
    };
    progress.begin({
      parameters: model.parameterCount,
      step: trainer.steps,
      steps: settings.steps,
    });
    await takeSteps(settings, learningRate, trainer, engine, save, progress);
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
    console.log(`  on ${training.description}`);
    return training;
  } catch (error) {
    if (error.code !== 'ERR_DEVICE') throw error;
    throw new SetUpError(`--engine webgpu: ${error.message}; it takes a graphics card and its driver`);
  }
}

/** navigator.gpu as a page has it: Dawn, which npm's `webgpu` brings. */
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
