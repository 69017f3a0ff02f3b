// npm run fuzz: builds the fuzz targets and runs each for some minutes.
import { buildDist, buildNative, prepareBuild } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { fuzzProgram, fuzzTargets, isNativeTarget } from './lib/fuzz_targets.mjs';
import { main, SetUpError, step } from './lib/steps.mjs';
import { runPrograms } from './lib/test_run.mjs';

export const command = {
  name: 'npm run fuzz',
  summary:
    'Feeds random inputs to all that reads untrusted bytes or arguments: safetensors files, files of ' +
    'low-rank updates and of models, calls of the layer, ONNX import, and the whole public surface. Inputs ' +
    'that fail are written to tests/fuzz/corpus, which npm test repeats.',
  options: {
    only: {
      type: 'name',
      list: true,
      allowed: fuzzTargets,
      default: fuzzTargets,
      description: 'Targets to run.',
    },
    minutes: { type: 'number', above: 0, default: 1, description: 'Duration of each target.' },
  },
  examples: [
    ['--minutes 60', 'Runs each target for an hour.'],
    ['--only safetensors,lora --minutes 5', 'Runs two targets for five minutes each.'],
  ],
};

/** Builds and runs targets, two at a time. Resolves to the counts of runPrograms. */
export async function fuzz({ only, minutes, emscripten }) {
  if (only.some(isNativeTarget)) {
    await step('build of the preset fuzz', () => buildNative('fuzz', emscripten.include));
  }
  return runPrograms('fuzz', await Promise.all(only.map((target) => fuzzProgram(target, 60 * minutes))));
}

if (process.argv[1] === import.meta.filename) {
  const { only, minutes } = readCommandLine(command);
  await main(async () => {
    const emscripten = await prepareBuild();
    if (!only.every(isNativeTarget)) await buildDist({ emscripten });
    const { failed } = await fuzz({ only, minutes, emscripten });
    if (failed > 0) throw new SetUpError(`${failed} targets failed; see tests/fuzz/corpus/*/found-*`);
  });
}
