// npm test: every test there is, with all that it takes to run it.
//   npm test -- --only native,node    only these parts: native, sanitize, node, webgpu, browser, lint
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepareBrowser } from './lib/browser.mjs';
import { buildCeilings, buildDist, buildNative } from './lib/build.mjs';
import { run } from './lib/commands.mjs';
import { prepareNewerNode } from './lib/newer_node.mjs';
import { project } from './lib/paths.mjs';
import { bold, green, grey, main, red, step } from './lib/steps.mjs';
import { prepareWebGpu } from './lib/webgpu.mjs';
import { lint } from './lint.mjs';

const { values: options } = parseArgs({ options: { only: { type: 'string' } } });
const parts = ['native', 'sanitize', 'node', 'webgpu', 'browser', 'lint'];
const wanted = options.only?.split(',') ?? parts;
for (const name of wanted) {
  if (!parts.includes(name)) throw new Error(`--only ${name}: takes some of ${parts.join(', ')}`);
}

const results = [];

/** Runs one part of the tests; a failure is told at the end, after the other parts have had their turn. */
async function part(name, work) {
  console.log(`\n${bold(name)}`);
  const start = performance.now();
  let failure = null;
  try {
    await work();
  } catch (error) {
    failure = error;
    console.error(error.message);
  }
  results.push({ name, failure, seconds: (performance.now() - start) / 1000 });
}

async function testNative(preset, include) {
  await step(`build of the preset ${preset}`, () => buildNative(preset, include));
  await run('ctest', ['--test-dir', `build/${preset}`, '--output-on-failure', '-j', '2'], {
    cwd: project,
    show: true,
  });
}

const testFiles = (folder) =>
  readdirSync(path.join(project, folder))
    .filter((name) => name.endsWith('.test.mjs'))
    .map((name) => path.join(folder, name));

/** What these are about is JavaScript and types alone, the same for every variant: each host runs them once. */
const onceForAHost = ['analyser', 'onnx_malformed', 'types'].map((name) => `tests/node/${name}.test.mjs`);

/**
 * Every file in a process of its own, one after another; a failure is told after the others have had their turn. Not by
 * `node --test`, whose line to its child processes Node 20 now and then misreads ("Unable to deserialize cloned data").
 */
async function testNode(program, files, environment = {}) {
  const failures = [];
  for (const file of files) {
    console.log(`\n${bold(file)}`);
    const options = { cwd: project, show: true, env: { ...process.env, ...environment } };
    await run(program, ['--test-reporter=spec', file], options).catch((error) =>
      failures.push(error.message),
    );
  }
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

await main(async () => {
  const emscripten = await buildDist();
  await buildCeilings(emscripten);
  if (wanted.includes('lint')) await part('lint', () => lint());
  if (wanted.includes('native')) await part('native', () => testNative('release', emscripten.include));
  if (wanted.includes('sanitize')) {
    await part('native, with sanitizers', () => testNative('sanitize', emscripten.include));
  }
  if (wanted.includes('node')) {
    // The Node that runs us, which may be 20 and then has no relaxed SIMD, and a newer one, which runs everything.
    const newerNode = await prepareNewerNode();
    const hosts = [
      [process.execPath, process.version, ['baseline-threads', 'baseline']],
      [newerNode, 'newer Node', ['relaxed-threads', 'relaxed', 'baseline-threads', 'baseline']],
    ];
    for (const [program, name, variants] of hosts) {
      for (const variant of variants) {
        const files = testFiles('tests/node').filter(
          (file) => variant === variants[0] || !onceForAHost.includes(file),
        );
        await part(`${name}, ${variant}`, () =>
          testNode(program, files, { CROSS_ATTENTION_VARIANT: variant }),
        );
      }
    }
  }
  if (wanted.includes('webgpu')) {
    // A machine without an adapter fails here and says why.
    for (const [prepareProgram, name] of [
      [() => process.execPath, process.version],
      [prepareNewerNode, 'newer Node'],
    ]) {
      await part(`${name}, WebGPU`, async () => {
        const environment = await prepareWebGpu();
        await testNode(await prepareProgram(), testFiles('tests/webgpu'), environment);
      });
    }
  }
  if (wanted.includes('browser')) {
    await part('browser', async () => {
      await prepareBrowser();
      await testNode(process.execPath, testFiles('tests/browser'));
    });
  }
  console.log();
  for (const { name, failure, seconds } of results) {
    const mark = failure ? red('✗') : green('✓');
    console.log(`${mark} ${name.padEnd(40)} ${grey(`${seconds.toFixed(0).padStart(5)} s`)}`);
  }
  const failed = results.filter(({ failure }) => failure).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
});
