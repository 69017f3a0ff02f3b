// npm run train: trains the model of the demo site on generated scenes. `npm run train -- --help` lists the
// options.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { readCommandLine } from './lib/command_line.mjs';
import { prepareNodeModules } from './lib/node_modules.mjs';
import { main } from './lib/steps.mjs';
import { command } from './train/options.mjs';

/** Training functions by --engine, loaded on demand: (settings, files, progress) => Promise. */
const engines = {
  native: async () => (await import('./train/native.mjs')).trainNatively,
  wasm: async () => (await import('./train/package.mjs')).trainInWasm,
  webgpu: async () => (await import('./train/package.mjs')).trainByWebGpu,
};

const { engine, out, fresh, ...settings } = readCommandLine(command);

await main(async () => {
  const checkpoint = path.join(out, 'checkpoint.safetensors');
  const weights = path.join(out, 'scenes.safetensors');
  mkdirSync(out, { recursive: true });
  if (fresh) rmSync(checkpoint, { force: true });
  await prepareNodeModules();
  const train = await engines[engine]();
  const { Progress } = await import('./train/progress.mjs');
  if (existsSync(checkpoint)) console.log(`  continuing from ${checkpoint}`);
  await train(settings, { checkpoint, weights }, new Progress());
  console.log(`\n  The weights are in ${weights}. The demo site loads web/model/scenes.safetensors.`);
});
