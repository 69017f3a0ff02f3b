// npm run train: the weights of the page's model, learned from generated scenes.
//   npm run train -- --steps 30000 --threads 2    goes on from the checkpoint, if there is one; Ctrl+C loses little
//   npm run train -- --engine webgpu              on this machine's graphics card
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepareNodeModules } from './lib/node_modules.mjs';
import { project } from './lib/paths.mjs';
import { main, SetUpError } from './lib/steps.mjs';

/** Each trains with these settings and these files, and tells of its steps: see train/native.mjs and train/package.mjs. */
const engines = {
  // A program built for this machine: the fastest without a graphics card.
  native: async () => (await import('./train/native.mjs')).trainNatively,
  // The package itself, as a page has it.
  wasm: async () => (await import('./train/package.mjs')).trainInWasm,
  webgpu: async () => (await import('./train/package.mjs')).trainByWebGpu,
};

/** Each with its default. */
const options = {
  engine: { type: 'string', default: 'native' },
  steps: { type: 'string', default: '30000' },
  // Scenes a step, a multiple of 16: each 16 are a part that one process learns from.
  batch: { type: 'string', default: '32' },
  // The share of scenes that have a single object whatever the rest have.
  singles: { type: 'string', default: '0' },
  // The share that are two objects, one inside the other, beside those that there are of them among the rest.
  insides: { type: 'string', default: '0.35' },
  'learning-rate': { type: 'string', default: '0.0005' },
  'warm-up': { type: 'string', default: '300' },
  // Of the logit of the times that are learned from: 0 is noise, 1 is clean.
  'time-mean': { type: 'string', default: '-0.4' },
  'time-deviation': { type: 'string', default: '1.5' },
  // The weight of what tokens are to know of the objects at their place, beside the loss of the picture.
  alignment: { type: 'string', default: '1' },
  // The share of the steps, at the end, in which the learning rate falls to zero.
  fall: { type: 'string', default: '0.5' },
  'average-decay': { type: 'string', default: '0.999' },
  features: { type: 'string', default: '128' },
  blocks: { type: 'string', default: '5' },
  'pixel-features': { type: 'string', default: '16' },
  'pixel-blocks': { type: 'string', default: '1' },
  heads: { type: 'string', default: '4' },
  seed: { type: 'string', default: '1' },
  threads: { type: 'string', default: String(os.availableParallelism()) },
  'save-every': { type: 'string', default: '250' },
  // Weights to begin with, in place of random ones: what features, blocks and heads say is theirs.
  from: { type: 'string', default: '' },
  out: { type: 'string', default: path.join(project, 'build/training') },
  // Forget an earlier checkpoint.
  fresh: { type: 'boolean', default: false },
};

await main(async () => {
  const { values } = parseArgs({ options });
  const { engine, out, fresh, ...settings } = values;
  if (!Object.hasOwn(engines, engine)) {
    throw new SetUpError(`--engine is ${engine}; it takes ${Object.keys(engines).join(', ')}`);
  }
  const checkpoint = path.join(out, 'checkpoint.safetensors');
  const weights = path.join(out, 'scenes.safetensors');
  mkdirSync(out, { recursive: true });
  if (fresh) rmSync(checkpoint, { force: true });
  await prepareNodeModules();
  const train = await engines[engine]();
  const { Progress } = await import('./train/progress.mjs');
  if (existsSync(checkpoint)) console.log(`  going on from ${checkpoint}`);
  await train(settings, { checkpoint, weights }, new Progress());
  console.log(`\n  The weights are in ${weights}; the page takes web/model/scenes.safetensors.`);
});
