// Runs test programs concurrently. Writes their output to build/test-logs and a summary to the terminal.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './commands.mjs';
import { inParallel } from './parallel.mjs';
import { project } from './paths.mjs';
import { bold, green, grey, red } from './steps.mjs';

const logs = path.join(project, 'build/test-logs');

/** Timeout of a test file. It is generous: machines may be busy. */
const timeoutSeconds = 900;

/**
 * A program that runs tests.
 *
 * @typedef {object} TestProgram
 * @property {string} title name in the output, usually a file relative to the project
 * @property {string} program
 * @property {readonly string[]} args
 * @property {Record<string, string>} [environment]
 * @property {boolean} [exclusive] true: no other program runs at the same time
 * @property {(output: string) => Counts} count reads the counts of the tests from the output
 */

/**
 * @typedef {{ passed: number, failed: number, skipped: string[] }} Counts `skipped`: their names and reasons
 */

/** The durations of all programs of this run: [seconds, part, title]. */
const times = [];

/**
 * Runs the programs of one part, at most two at a time and at most one per core. Prints a line for each
 * program, and the whole output if it fails. Resolves to the sum of the counts.
 *
 * @param {string} part
 * @param {readonly TestProgram[]} programs
 */
export async function runPrograms(part, programs) {
  const total = { passed: 0, failed: 0, skipped: [] };
  const work = async (each) => {
    const counts = await runProgram(part, each);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped.push(...counts.skipped);
  };
  await inParallel(
    programs.filter(({ exclusive }) => !exclusive),
    work,
    2,
  );
  await inParallel(
    programs.filter(({ exclusive }) => exclusive),
    work,
    1,
  );
  return total;
}

async function runProgram(part, { title, program, args, environment, count }) {
  const start = performance.now();
  const env = { ...process.env, ...environment };
  let failure = null;
  const output = await run(program, args, { cwd: project, env, seconds: timeoutSeconds }).catch((error) => {
    failure = error;
    return error.printed ?? '';
  });
  const seconds = (performance.now() - start) / 1000;
  times.push([seconds, part, title]);
  const log = path.join(logs, `${part} ${title}`.replaceAll(/[^\w.-]+/g, '-'));
  mkdirSync(logs, { recursive: true });
  writeFileSync(`${log}.log`, output);

  const counts = count(output);
  // A program that crashes, or that runs no test, counts as one failed test.
  if (failure !== null) counts.failed = Math.max(1, counts.failed);
  else if (counts.passed + counts.skipped.length === 0) counts.failed = 1;
  const mark = counts.failed > 0 ? red('✗') : green('✓');
  const tests = `${counts.passed + counts.failed} tests`;
  console.log(
    `  ${mark} ${title.padEnd(44)} ${tests.padStart(10)} ${grey(`${seconds.toFixed(1).padStart(6)} s`)}`,
  );
  for (const skipped of counts.skipped) console.log(grey(`      skipped: ${skipped}`));
  if (counts.failed > 0) {
    console.log(output);
    console.log(failure?.message.split('\n', 2).join(' ') ?? `${title} ran no test`);
  }
  return counts;
}

/**
 * Returns the program of a test file. Not `node --test`: in Node 20, it sometimes misreads the output of
 * child processes.
 */
export const nodeTests = (program, file, options) => ({
  title: file,
  program,
  args: ['--test-reporter=spec', file],
  count: countNodeTests,
  ...options,
});

function countNodeTests(output) {
  const number = (name) => Number(output.match(new RegExp(`^ℹ ${name} (\\d+)$`, 'm'))?.[1] ?? 0);
  const skipped = [...output.matchAll(/^\s*﹣ (.*)$/gm)].map(([, line]) => line);
  return { passed: number('pass'), failed: number('fail') + number('cancelled'), skipped };
}

/** Returns a GoogleTest program, or one shard of it. */
export const googleTests = (file, { shard = 0, shards = 1, filter = '*' } = {}) => ({
  title: `${path.basename(file)}${shards > 1 ? `, ${shard + 1} of ${shards}` : ''}`,
  program: file,
  args: [`--gtest_filter=${filter}`],
  environment: { GTEST_TOTAL_SHARDS: String(shards), GTEST_SHARD_INDEX: String(shard) },
  count: countGoogleTests,
});

function countGoogleTests(output) {
  const number = (state) =>
    Number(output.match(new RegExp(`^\\[ *${state} *\\] (\\d+) tests?`, 'm'))?.[1] ?? 0);
  const skipped = [...output.matchAll(/^(.*)\n\[ *SKIPPED *\] (\S+) \(/gm)].map(
    ([, reason, name]) => `${name}: ${reason}`,
  );
  return { passed: number('PASSED'), failed: number('FAILED'), skipped };
}

/** Prints the slowest programs of this run. */
export function printSlowest(count = 10) {
  const slowest = times.sort(([one], [other]) => other - one);
  console.log(`\n${bold(`The slowest ${count}`)}`);
  for (const [seconds, part, title] of slowest.slice(0, count)) {
    console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${title}, ${part}`);
  }
}
