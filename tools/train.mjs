// npm run train: the weights of the page's model, learned from generated scenes by a program built for this machine.
//   npm run train -- --steps 30000 --threads 2    goes on from the checkpoint, if there is one; Ctrl+C loses little
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { buildTrainer } from './lib/build.mjs';
import { prepareEmscripten } from './lib/emscripten.mjs';
import { prepareNodeModules } from './lib/node_modules.mjs';
import { project } from './lib/paths.mjs';
import { main, step } from './lib/steps.mjs';

/** Each with its default. */
const options = {
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

/** The mean of the last losses: one step's tells little. */
class RunningMean {
  #values = [];
  add(value) {
    this.#values.push(value);
    if (this.#values.length > 100) this.#values.shift();
    return this.#values.reduce((sum, each) => sum + each, 0) / this.#values.length;
  }
}

function showProgress(lines) {
  const bar = new SingleBar({
    format:
      '{bar} {percentage} % | step {value} of {total} | loss {loss} | {pace} steps/s | {eta_formatted} left',
    etaBuffer: 200,
    noTTYOutput: true,
    notTTYSchedule: 60_000,
  });
  const loss = new RunningMean();
  const seconds = new RunningMean();
  lines.on('line', (line) => {
    const news = JSON.parse(line);
    if (news.parameters !== undefined) {
      console.log(`  ${news.parameters.toLocaleString('en')} parameters`);
      bar.start(news.steps, news.step, { loss: '–', pace: '–' });
    } else {
      const pace = 1 / seconds.add(news.seconds);
      bar.update(news.step, { loss: loss.add(news.loss).toFixed(4), pace: pace.toFixed(2) });
    }
  });
  lines.on('close', () => bar.stop());
}

/** Resolves when the program has ended well. */
function train(program, { out, fresh, ...given }) {
  const checkpoint = path.join(out, 'checkpoint.safetensors');
  const weights = path.join(out, 'scenes.safetensors');
  mkdirSync(out, { recursive: true });
  if (fresh) rmSync(checkpoint, { force: true });
  if (existsSync(checkpoint)) console.log(`  going on from ${checkpoint}`);
  const files = { checkpoint, weights };
  const settings = Object.entries({ ...given, ...files }).map(([name, value]) => `${name}=${value}`);
  const child = spawn(program, settings, { stdio: ['ignore', 'pipe', 'inherit'] });
  showProgress(createInterface({ input: child.stdout }));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(weights) : reject(new Error(`training ended with code ${code}`)),
    );
  });
}

await main(async () => {
  const { values } = parseArgs({ options });
  await prepareNodeModules();
  const { include } = await prepareEmscripten();
  let program;
  await step('the program that trains', async () => {
    program = await buildTrainer(include);
  });
  const weights = await train(program, values);
  console.log(`\n  The weights are in ${weights}; the page takes web/model/scenes.safetensors.`);
});
