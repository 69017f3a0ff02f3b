// Fuzzes a target that is written in JavaScript: node tests/fuzz/script.mjs TARGET SECONDS. An input that
// fails is written to the corpus, which tests/node/onnx_fuzz.test.mjs and surface.test.mjs read.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';

/** The modules of the targets, what they check, and how an input is written. */
const targets = {
  onnx: async () => {
    const { checkFile, files } = await import('../support/onnx_fuzz.mjs');
    return { inputs: files(), check: async (file) => checkFile(file), write: (file) => file };
  },
  surface: async () => {
    const { checkProgram, programs } = await import('../support/surface_fuzz.mjs');
    return { inputs: programs, check: checkProgram, write: (program) => JSON.stringify(program, null, 1) };
  },
};

const [target, seconds] = process.argv.slice(2);
const { inputs, check, write } = await targets[target]();
const end = performance.now() + 1000 * Number(seconds);
let count = 0;
for (let seed = Date.now() % 2 ** 31; performance.now() < end; ++seed) {
  const result = await fc.check(fc.asyncProperty(inputs, check), {
    seed,
    numRuns: 500,
    interruptAfterTimeLimit: Math.max(1, end - performance.now()),
  });
  count += result.numRuns;
  if (!result.failed || result.counterexample === null) continue;
  const input = write(result.counterexample[0]);
  const name = `found-${createHash('sha256').update(input).digest('hex').slice(0, 16)}`;
  const path = new URL(`corpus/${target}/${name}`, import.meta.url);
  writeFileSync(path, input);
  console.error(`${path.pathname}\n${result.errorInstance?.stack}`);
  process.exitCode = 1;
  break;
}
console.log(`Done ${count} runs`);
