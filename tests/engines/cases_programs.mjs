// Node, Deno, Bun, and test runners: each runs the checked program in a project with the packed package.
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { transform } from 'esbuild';
import { output, run } from '../../tools/lib/commands.mjs';
import { installed, versionOf } from './support/installed.mjs';
import { newProject } from './support/packed.mjs';
import { runModule } from './support/entries.mjs';

const program = await readFile(new URL('./program.mjs', import.meta.url), 'utf8');

/** Writes a report into the file that an environment variable names: all of these programs have node:fs. */
const reportFrom = (name) => `import { writeFileSync } from 'node:fs';
export const report = (value) => writeFileSync(process.env.${name}, JSON.stringify(value));
`;
const variable = 'ENGINES_REPORT';

/** For tools that load CommonJS only: the package is its single file then. */
const programCommonJs = (await transform(program, { format: 'cjs' })).code;

const testFileCommonJs = `const { writeFileSync } = require('node:fs');
const { runProgram } = require('./program.cjs');
const main = require('diffusion-cross-attention');
test('runs the checked program', async () => {
  writeFileSync(process.env.${variable}, JSON.stringify(await runProgram({ main })));
}, 60_000);
`;

const testFile = `import { run } from './run.mjs';
import { report } from './report.mjs';
test('runs the checked program', async () => report(await run()), 60_000);
`;

const files = {
  'program.mjs': program,
  'run.mjs': runModule(),
  'report.mjs': reportFrom(variable),
  'main.mjs': `import { run } from './run.mjs';
import { report } from './report.mjs';
report(await run());
`,
  'main.ts': `import { run } from './run.mjs';
import { report } from './report.mjs';
const limit: number = 64;
const result = (await run()) as { threads: number };
if (result.threads <= limit) report(result);
`,
  // CommonJS: Node 20.19 and newer load ES modules by require, if they have no top-level await.
  'main.cjs': `const { writeFileSync } = require('node:fs');
const main = require('diffusion-cross-attention');
const onnx = require('diffusion-cross-attention/onnx');
const denoiser = require('diffusion-cross-attention/denoiser');
const { runProgram } = require('./program.mjs');
runProgram({ main, onnx, denoiser }).then((value) =>
  writeFileSync(process.env.${variable}, JSON.stringify(value)),
);
`,
  'program.cjs': programCommonJs,
  // CommonJS where require loads no ES modules.
  'single.cjs': `const { writeFileSync } = require('node:fs');
const { runProgram } = require('./program.cjs');
runProgram({ main: require('diffusion-cross-attention') }).then((value) =>
  writeFileSync(process.env.${variable}, JSON.stringify(value)),
);
`,
  'program.test.mjs': testFile,
  'program.test.cjs': testFileCommonJs,
};

let project = null;
let count = 0;

/** Runs a program in the project. It must end by itself, without an error, after it wrote its report. */
async function runHere(executable, args, environment = {}) {
  project ??= newProject('programs', files);
  const cwd = await project;
  const report = path.join(cwd, `report-${++count}.json`);
  const env = { ...process.env, ...environment, [variable]: report };
  // With NODE_TEST_CONTEXT, Node would report to this process's test runner.
  delete env.NODE_TEST_CONTEXT;
  const printed = await run(executable, args, { cwd, env, seconds: 90 });
  if (!existsSync(report)) throw new Error(`no report was written\n${printed}`);
  const value = JSON.parse(await readFile(report, 'utf8'));
  await rm(report);
  return value;
}

async function nodeProgram(major) {
  if (Number.parseInt(process.versions.node, 10) === major) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  return path.join(await installed(`${name}@${major}`), name, 'bin/node');
}

const nodeMajors = [20, 22, 24, 26];

const several = { threads: 'several' };

const singleFile = { threads: 'one', reason: /single-file entry has no threads/ };

/** Arguments and what init must find. */
const nodeConditions = {
  import: { args: ['main.mjs'], expected: several },
  require: { args: ['main.cjs'], expected: several },
  'require without ES modules': {
    args: ['--no-experimental-require-module', 'single.cjs'],
    expected: singleFile,
  },
};

const nodeCases = nodeMajors.flatMap((major) =>
  Object.entries(nodeConditions).map(([conditions, { args, expected }]) => ({
    group: 'Node',
    name: `Node ${major}`,
    conditions,
    expected,
    quick: process.versions.node.startsWith(`${major}.`),
    run: async () => {
      const executable = await nodeProgram(major);
      return {
        version: output(executable, ['--version']).trim().slice(1),
        ...(await runHere(executable, args)),
      };
    },
  })),
);

/** The program of npm's package `deno` or `bun` for this machine. */
async function deno() {
  const name = `@deno/${process.platform}-${process.arch}-glibc`;
  return path.join(await installed(`${name}@2`), name, 'deno');
}

async function bun() {
  const name = `@oven/bun-${process.platform}-${process.arch === 'arm64' ? 'aarch64' : process.arch}`;
  return path.join(await installed(`${name}@1`), name, 'bin/bun');
}

const versionLine = (executable) => output(executable, ['--version'])?.match(/\d+\.\d+\.\d+/)?.[0];

/** A program without a Node of its own. */
const runtime = (name, expected, prepare, args) => ({
  name,
  conditions: 'node_modules',
  expected,
  run: async () => {
    const executable = await prepare();
    return { version: versionLine(executable), ...(await runHere(executable, args)) };
  },
});

/** A tool that runs in Node 24. `argsOf` returns Node's arguments for the folder with the tool's package. */
const toolInNode = (name, major, conditions, argsOf, expected = several) => ({
  name,
  conditions,
  expected,
  run: async () => {
    const modules = await installed(`${name}@${major}`);
    return {
      version: await versionOf(modules, name),
      ...(await runHere(await nodeProgram(24), argsOf(modules))),
    };
  },
});

const otherCases = [
  runtime('Deno', several, deno, [
    'run',
    '--allow-all',
    '--no-lock',
    '--node-modules-dir=manual',
    'main.mjs',
  ]),
  runtime('Bun', { threads: 'any' }, bun, ['run', 'main.mjs']),
  toolInNode('tsx', 4, 'TypeScript in Node 24', (modules) => [
    path.join(modules, 'tsx/dist/cli.mjs'),
    'main.ts',
  ]),
  toolInNode('vitest', 5, 'Node 24', (modules) => [
    path.join(modules, 'vitest/vitest.mjs'),
    ...['run', '--globals', 'program.test.mjs'],
  ]),
  toolInNode('jest', 30, '--experimental-vm-modules', (modules) => [
    ...['--experimental-vm-modules', '--no-warnings', path.join(modules, 'jest/bin/jest.js')],
    ...['--config', JSON.stringify({ testMatch: ['**/*.test.mjs'], transform: {} }), '--no-cache'],
  ]),
  toolInNode(
    'jest',
    30,
    'without flags',
    (modules) => [
      path.join(modules, 'jest/bin/jest.js'),
      ...['--config', JSON.stringify({ testMatch: ['**/*.test.cjs'] }), '--no-cache'],
    ],
    singleFile,
  ),
];

export const cases = [
  ...nodeCases,
  ...otherCases.map((each) => ({ group: 'Runtimes and test runners', ...each, quick: false })),
];
