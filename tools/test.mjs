// npm test: installs and builds what the tests need, then runs all tests.
import path from 'node:path';
import { prepareBrowser } from './lib/browser.mjs';
import { buildDist, buildNative, prepareBuild } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { run } from './lib/commands.mjs';
import { fuzzTargets } from './lib/fuzz_targets.mjs';
import { prepareNewerNode } from './lib/newer_node.mjs';
import { project } from './lib/paths.mjs';
import { bold, green, grey, main, red, SetUpError, step } from './lib/steps.mjs';
import {
  isExclusive,
  needAllVariants,
  once,
  testFiles,
  variantTests,
  webGpuSmokeTests,
} from './lib/test_files.mjs';
import { googleTests, nodeTests, printSlowest, runPrograms } from './lib/test_run.mjs';
import { variants } from './lib/wasm.mjs';
import { prepareWebGpu } from './lib/webgpu.mjs';
import { fuzz } from './fuzz.mjs';
import { lint } from './lint.mjs';

const parts = ['lint', 'native', 'sanitize', 'node', 'webgpu', 'browser'];
/** Parts that only --full, or their name, runs. */
const fullParts = ['no-unity', 'tsan', 'fuzz'];

export const command = {
  name: 'npm test',
  summary:
    'Runs all tests: lint, native tests without and with sanitizers, the package in two versions of Node, ' +
    'WebGPU, and Chromium. Installs and builds what the tests need.',
  options: {
    only: {
      type: 'name',
      list: true,
      allowed: [...parts, ...fullParts],
      default: parts,
      description: 'Parts to run.',
    },
    match: {
      type: 'string',
      placeholder: 'PATTERN',
      description: 'Runs only test files whose path matches this regular expression, and no native tests.',
    },
    quick: {
      type: 'boolean',
      description:
        'Runs only lint of changed files, native tests, and one version of Node with one WebAssembly ' +
        'variant.',
    },
    full: {
      type: 'boolean',
      description:
        'Runs all files with all variants and both versions of Node, a build without unity files, the ' +
        'thread sanitizer, and a minute of each fuzz target. ' +
        '`npm run test:full` is short for `npm test -- --full`.',
    },
  },
  examples: [
    ['--quick', 'Runs the tests for every change, in minutes.'],
    ['--only node,webgpu --match backward', 'Runs the test files of the backward pass.'],
  ],
  check: ({ match, quick, full }) => {
    if (quick && full) return '--quick and --full are both given; expected one of them';
    try {
      new RegExp(match ?? '');
    } catch (error) {
      return `--match is ${match}; expected a regular expression (${error.message})`;
    }
  },
};

/** Filter of the native tests that use several threads. */
const threadTests =
  '*Thread*:*Schedule*:*Pending*:*CompiledGraph*:*Background*:*ForwardTest*:*GradientsTest*:*Trainer*';

/** The version of Node that runs this script. Node 20 has no relaxed SIMD. */
const thisNode = { name: process.version, prepare: () => process.execPath };
const newerNode = { name: 'newer Node', prepare: prepareNewerNode };

async function test({ only, match, quick, full }) {
  const results = [];
  /** Runs one part; a failure does not stop the other parts. */
  const part = async (name, work) => {
    console.log(`\n${bold(name)}`);
    const start = performance.now();
    let counts;
    try {
      // Lint and builds count as one test each.
      counts = (await work()) ?? { passed: 1, failed: 0, skipped: [] };
    } catch (error) {
      console.error(error.message);
      counts = { passed: 0, failed: 1, skipped: [] };
    }
    results.push({ name, counts, seconds: (performance.now() - start) / 1000 });
  };
  const matches = (file) => match === undefined || new RegExp(match).test(file);
  const chosen = full && only === command.options.only.default ? [...parts, ...fullParts] : only;
  const wants = (name) => chosen.includes(name) && !(quick && !['lint', 'native', 'node'].includes(name));
  const wantsNative = (name) => wants(name) && match === undefined;

  const runFiles = (name, program, files, environment) =>
    runPrograms(
      name,
      files
        .filter(matches)
        .map((file) => nodeTests(program, file, { environment, exclusive: isExclusive(file) })),
    );

  // Property tests then use more random cases.
  if (full) process.env.CROSS_ATTENTION_FULL = '1';
  const emscripten = await prepareBuild();
  await buildDist({ only: quick ? [variants[0]] : variants, emscripten });
  if (wantsNative('lint')) await part('lint', () => lint({ changed: quick }));
  if (wantsNative('native')) await part('native', () => testNative('release', emscripten.include));
  if (wantsNative('sanitize')) await part('sanitize', () => testNative('sanitize', emscripten.include));
  if (wantsNative('no-unity')) {
    await part('no-unity', () => buildWithoutUnity(emscripten.include));
  }
  if (wantsNative('tsan')) await part('tsan', () => testThreads(emscripten.include));
  if (wantsNative('fuzz')) await part('fuzz', () => fuzz({ only: fuzzTargets, minutes: 1, emscripten }));
  if (wants('node')) {
    for (const { node, variant, files } of nodeSuites({ quick, full })) {
      const name = `${node.name}, ${variant}`;
      if (!files.some(matches)) continue;
      await part(name, async () =>
        runFiles(name, await node.prepare(), files, { CROSS_ATTENTION_VARIANT: variant }),
      );
    }
    if (quick) console.log(`  skipped by --quick (need all variants): ${needAllVariants.join(', ')}`);
  }
  if (wants('webgpu')) {
    // Fails with the reason if the machine has no adapter.
    const all = testFiles('tests/webgpu');
    for (const [node, files] of [
      [newerNode, all],
      [thisNode, full ? all : webGpuSmokeTests],
    ]) {
      const name = `${node.name}, WebGPU`;
      if (!files.some(matches)) continue;
      await part(name, async () => {
        const environment = await prepareWebGpu();
        return runFiles(name, await node.prepare(), files, environment);
      });
    }
  }
  if (wants('browser') && testFiles('tests/browser').some(matches)) {
    await part('browser', async () => {
      await prepareBrowser();
      await step('site', () =>
        run(process.execPath, ['tests/browser/support/build_site.mjs'], { cwd: project }),
      );
      return runFiles('browser', process.execPath, testFiles('tests/browser'));
    });
  }
  if (results.length === 0) throw new SetUpError(`no test file of the chosen parts matches ${match}`);
  printResults(results);
}

/** Returns the suites: each runs some files in one version of Node with one variant. */
function nodeSuites({ quick, full }) {
  const all = testFiles('tests/node');
  const best = all.filter((file) => !once.includes(file));
  if (quick) {
    const files = best.filter((file) => !needAllVariants.includes(file));
    return [{ node: newerNode, variant: 'relaxed-threads', files }];
  }
  const others = full ? best : best.filter((file) => variantTests.includes(file));
  return [
    { node: newerNode, variant: 'relaxed-threads', files: best },
    { node: thisNode, variant: 'baseline', files: all },
    { node: newerNode, variant: 'relaxed', files: others },
    { node: thisNode, variant: 'baseline-threads', files: others },
    // These variants run in the older Node, too.
    ...(full
      ? [
          { node: newerNode, variant: 'baseline-threads', files: others },
          { node: newerNode, variant: 'baseline', files: others },
        ]
      : []),
  ];
}

async function testNative(preset, include) {
  await step(`build of the preset ${preset}`, () => buildNative(preset, include));
  const folder = path.join(project, `build/${preset}/tests/native`);
  const shards = 2;
  return runPrograms(preset, [
    ...Array.from({ length: shards }, (_, shard) =>
      googleTests(path.join(folder, 'cross_attention_tests'), { shard, shards }),
    ),
    googleTests(path.join(folder, 'corpus_tests')),
    googleTests(path.join(folder, 'failing_allocation_tests')),
  ]);
}

/** Runs the tests that use threads with the thread sanitizer. */
async function testThreads(include) {
  await step('build of the preset tsan', () => buildNative('tsan', include, ['cross_attention_tests']));
  const program = path.join(project, 'build/tsan/tests/native/cross_attention_tests');
  return runPrograms('tsan', [googleTests(program, { filter: threadTests })]);
}

/** Compiles each source separately, which finds missing includes. */
function buildWithoutUnity(include) {
  return step('build of the preset no-unity', () => buildNative('no-unity', include));
}

function printResults(results) {
  printSlowest();
  console.log();
  for (const { name, counts, seconds } of results) {
    const mark = counts.failed > 0 ? red('✗') : green('✓');
    const skipped = counts.skipped.length > 0 ? `, ${counts.skipped.length} skipped` : '';
    const tests = `${counts.passed} passed, ${counts.failed} failed${skipped}`;
    console.log(`${mark} ${name.padEnd(30)} ${grey(`${seconds.toFixed(0).padStart(5)} s`)}  ${tests}`);
  }
  const sum = (key) => results.reduce((total, { counts }) => total + counts[key], 0);
  const skipped = results.reduce((total, { counts }) => total + counts.skipped.length, 0);
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed, ${skipped} skipped`);
  if (sum('failed') > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) {
  const options = readCommandLine(command);
  await main(() => test(options));
}
