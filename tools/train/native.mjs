// Trains with a program that is built for this machine (main.cpp). The program reports its steps as lines of
// JSON.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { buildTrainer } from '../lib/build.mjs';
import { prepareEmscripten } from '../lib/emscripten.mjs';
import { step } from '../lib/steps.mjs';

/** Runs the training. Rejects if the program fails. */
export async function trainNatively(settings, files, progress) {
  const { include } = await prepareEmscripten();
  let program;
  await step('training program', async () => {
    program = await buildTrainer(include);
  });
  const values = { ...settings, from: settings.from ?? '', ...files };
  const args = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const message = JSON.parse(line);
    if (message.parameters !== undefined) progress.begin(message);
    else progress.add(message);
  });
  lines.on('close', () => progress.end());
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`exit code of the training is ${code}; expected 0`)),
    );
  });
}
