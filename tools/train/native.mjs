// Training by a program that is built for this machine (main.cpp), which tells of its steps in lines of JSON.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { buildTrainer } from '../lib/build.mjs';
import { prepareEmscripten } from '../lib/emscripten.mjs';
import { step } from '../lib/steps.mjs';

/** Resolves when the program has ended well. */
export async function trainNatively(settings, files, progress) {
  const { include } = await prepareEmscripten();
  let program;
  await step('the program that trains', async () => {
    program = await buildTrainer(include);
  });
  const given = { ...settings, from: settings.from ?? '', ...files };
  const texts = Object.entries(given).map(([name, value]) => `${name}=${value}`);
  const child = spawn(program, texts, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const news = JSON.parse(line);
    if (news.parameters !== undefined) progress.begin(news);
    else progress.add(news);
  });
  lines.on('close', () => progress.end());
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`training ended with code ${code}`)),
    );
  });
}
