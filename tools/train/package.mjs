// Training with the package, as a page has it: in WebAssembly, or by WebGPU on a graphics card.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { buildDist } from '../lib/build.mjs';
import { SetUpError } from '../lib/steps.mjs';

/** First beside the file, then in its place: a crash leaves the old one. */
function write(file, bytes) {
  writeFileSync(`${file}.unfinished`, bytes);
  renameSync(`${file}.unfinished`, file);
}

/** A setting by its name on the command line, as a number. */
function numberOf(settings, name) {
  const number = Number(settings[name]);
  if (settings[name].trim() === '' || !Number.isFinite(number)) {
    throw new SetUpError(`--${name} is '${settings[name]}'; it takes a number`);
  }
  return number;
}

function makeModel(Denoiser, settings) {
  if (settings.from !== '') return Denoiser.load(readFileSync(settings.from));
  const number = (name) => numberOf(settings, name);
  return Denoiser.create({
    pixelFeatures: number('pixel-features'),
    pixelBlocks: number('pixel-blocks'),
    features: number('features'),
    blocks: number('blocks'),
    heads: number('heads'),
    seed: number('seed'),
  });
}

function makeTrainer(model, settings) {
  const number = (name) => numberOf(settings, name);
  return model.trainer({
    seed: number('seed'),
    batch: number('batch'),
    averageDecay: number('average-decay'),
    singles: number('singles'),
    insides: number('insides'),
    timeMean: number('time-mean'),
    timeDeviation: number('time-deviation'),
    alignment: number('alignment'),
  });
}

/** How many steps are asked for before the first of them is done: the card computes while the next scenes are drawn. */
const stepsAhead = 2;

/**
 * `start(trainer)` gives {step(learningRate), synchronize()}: the denoiser is up to date after the latter. The files are
 * written every so many steps and at the end.
 */
async function train(settings, { checkpoint, weights }, progress, start) {
  const { Denoiser, init, learningRate } = await import('diffusion-cross-attention/denoiser');
  const number = (name) => numberOf(settings, name);
  const steps = number('steps');
  const saveEvery = number('save-every');
  const rates = { most: number('learning-rate'), warmUp: number('warm-up'), steps, fall: number('fall') };
  await init({ threads: number('threads') });
  const model = makeModel(Denoiser, settings);
  const trainer = makeTrainer(model, settings);
  if (existsSync(checkpoint)) trainer.loadCheckpoint(readFileSync(checkpoint));
  const engine = await start(trainer);

  const save = async () => {
    await engine.synchronize();
    write(checkpoint, trainer.saveCheckpoint());
    write(
      weights,
      trainer.withAverages(() => model.save()),
    );
  };
  let next = trainer.steps;
  progress.begin({ parameters: model.parameterCount, step: next, steps });
  const begun = [];
  let last = performance.now();
  const finish = async () => {
    const { step, loss } = await begun.shift();
    const now = performance.now();
    progress.add({ step, loss, seconds: (now - last) / 1000 });
    last = now;
  };
  try {
    while (next < steps) {
      begun.push(engine.step(learningRate(next, rates)));
      if (begun.length >= stepsAhead) await finish();
      if (++next % saveEvery !== 0 && next !== steps) continue;
      while (begun.length > 0) await finish();
      await save();
    }
  } finally {
    progress.end();
    model.dispose();
    trainer.dispose();
  }
}

export async function trainInWasm(settings, files, progress) {
  await buildDist();
  await train(settings, files, progress, async (trainer) => ({
    step: async (learningRate) => trainer.step(learningRate),
    synchronize: async () => {},
  }));
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
  await train(settings, files, progress, async (trainer) => {
    const training = await trainer.onWebGPU();
    console.log(`  on ${training.description}`);
    return training;
  });
}
