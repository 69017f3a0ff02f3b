// Tests of the commands of package.json in a clone without node_modules: help and invalid arguments are
// handled before any set-up.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { command as bench } from '../../bench/options.mjs';
import { command as benchWebGpu } from '../../bench/webgpu/options.mjs';
import { command as evaluate } from '../../evaluation/options.mjs';
import { parseArguments } from '../../tools/lib/command_line.mjs';
import { project } from '../../tools/lib/paths.mjs';
import { command as fuzz } from '../../tools/fuzz.mjs';
import { command as lint } from '../../tools/lint.mjs';
import { command as serve } from '../../tools/start.mjs';
import { command as runTests } from '../../tools/test.mjs';
import { command as testEngines } from '../../tools/test_engines.mjs';
import { command as train } from '../../tools/train/options.mjs';

/** The options of each script in package.json. */
const commands = {
  start: serve.options,
  test: runTests.options,
  'test:full': runTests.options,
  'test:engines': testEngines.options,
  build: {},
  'build:site': {},
  train: train.options,
  evaluate: evaluate.options,
  fuzz: fuzz.options,
  bench: bench.options,
  'bench:webgpu': benchWebGpu.options,
  lint: lint.options,
  format: lint.options,
};

const { scripts } = JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8'));

let folder;
const clone = () => path.join(folder, 'clone');
const cache = () => path.join(folder, 'cache');

/** Lists all files and folders below the test's folder; a set-up would add some. */
const listing = () => readdirSync(folder, { recursive: true }).sort();

before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'command-line-'));
  for (const name of ['package.json', 'tools', 'bench', 'evaluation', 'support']) {
    cpSync(path.join(project, name), path.join(clone(), name), { recursive: true });
  }
  // PATH has no npm, git or compiler: a set-up fails.
  mkdirSync(path.join(folder, 'bin'));
  symlinkSync(process.execPath, path.join(folder, 'bin/node'));
  mkdirSync(path.join(cache(), 'diffusion-cross-attention'), { recursive: true });
});
after(() => rmSync(folder, { recursive: true }));

/** Runs a script of package.json as npm does; asserts that it changes no file. */
function start(script, ...args) {
  const [program, ...scriptArgs] = scripts[script].split(' ');
  assert.equal(program, 'node');
  const files = listing();
  const begin = performance.now();
  const result = spawnSync(process.execPath, [...scriptArgs, ...args], {
    cwd: clone(),
    env: { PATH: path.join(folder, 'bin'), HOME: folder, XDG_CACHE_HOME: cache() },
    encoding: 'utf8',
    // Stops a command that hangs.
    timeout: 60_000,
  });
  assert.equal(result.error, undefined);
  assert.deepEqual(listing(), files);
  return { ...result, seconds: (performance.now() - begin) / 1000 };
}

function defaultOf({ type, list, allowed, default: value, defaultText }) {
  if (type === 'boolean') return 'off';
  if (value === undefined) return defaultText ?? 'none';
  if (!list) return String(value);
  return value.length === allowed?.length ? 'all' : value.join(',');
}

test('this file tests every command of package.json', () => {
  // npm passes no arguments to prepack.
  const untested = ['prepack'];
  assert.deepEqual(
    Object.keys(scripts).filter((script) => !untested.includes(script)),
    Object.keys(commands),
  );
});

for (const [script, options] of Object.entries(commands)) {
  describe(`npm run ${script}`, () => {
    test('--help prints every option with its default, and two examples', (t) => {
      const { status, stdout, stderr, seconds } = start(script, '--help');
      t.diagnostic(`${seconds.toFixed(2)} s`);
      assert.equal(stderr, '');
      assert.equal(status, 0);
      const [usage, summary, optionPart, examplePart] = stdout.split('\n\n');
      assert.match(usage, /^Usage: npm (start|test|run \S+) -- \[options\]$/);
      assert.match(summary, /\.$/);
      // An option is indented by two columns, its text by six.
      const texts = optionPart.split(/\n {2}(?=-)/).slice(1);
      assert.equal(texts.length, Object.keys(options).length + 1);
      for (const [name, option] of Object.entries(options)) {
        const text = texts.find((entry) => entry.split(/\s/, 1)[0] === `--${name}`)?.replace(/\s+/g, ' ');
        assert.ok(text?.endsWith(` Default: ${defaultOf(option)}.`), `--${name}: ${text}`);
      }
      const examples = examplePart.split('\n').filter((line) => line.startsWith('  npm '));
      assert.equal(examples.length, 2);
    });

    test('an unknown option suggests the most similar one', () => {
      const { status, stdout, stderr } = start(script, '--hepl');
      assert.deepEqual([status, stdout], [2, '']);
      const [message, hint, ...rest] = stderr.split('\n');
      assert.equal(message, '✗ unknown option --hepl; did you mean --help?');
      assert.match(hint, /^ {2}npm (start|test|run \S+) -- --help lists the options\.$/);
      assert.deepEqual(rest, ['']);
    });
  });
}

test('invalid arguments exit with code 2 and a message without a stack', () => {
  for (const [script, args, message] of [
    ['bench', ['--shape', 'tiny'], 'unknown option --shape; did you mean --shapes?'],
    [
      'bench',
      ['--threads', '1,0'],
      '--threads is 0; expected a comma-separated list of integers of at least 1',
    ],
    [
      'bench',
      ['tiny'],
      'unexpected argument tiny; expected only options, after "--": npm run bench -- [options]',
    ],
    ['bench:webgpu', ['--adapter', 'foo'], '--adapter is foo; expected default or swiftshader'],
    ['evaluate', ['--out'], '--out has no value; expected FOLDER'],
    ['evaluate', ['--check=yes'], '--check is yes; expected no value'],
    ['train', ['--engine', 'foo'], '--engine is foo; expected native, wasm or webgpu'],
    ['format', ['--help=all'], '--help is all; expected no value'],
  ]) {
    const { status, stdout, stderr } = start(script, ...args);
    assert.deepEqual([status, stdout, stderr.split('\n')[0]], [2, '', `✗ ${message}`]);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
});

const assertUsageError = (command, args, message) =>
  assert.throws(() => parseArguments(command, args), { name: 'UsageError', message });

for (const command of [train, evaluate, bench, benchWebGpu, lint]) {
  describe(command.name, () => {
    test('checks every option', () => {
      for (const [name, { type }] of Object.entries(command.options)) {
        const option = `--${name}`;
        const unknown = `unknown option ${option}${name.at(-1)}; did you mean ${option}?`;
        assertUsageError(command, [`${option}${name.at(-1)}`], unknown);
        if (type === 'boolean') {
          assertUsageError(command, [`${option}=1`], `${option} is 1; expected no value`);
          continue;
        }
        for (const args of [[option], [option, '--help-me']]) {
          assertUsageError(command, args, new RegExp(`^${option} has no value; expected `));
        }
        const bad = ['string', 'path'].includes(type) ? '' : 'foo';
        assertUsageError(command, [option, bad], new RegExp(`^${option} is ${bad || '""'}; expected `));
      }
    });

    test('accepts its own defaults and examples', () => {
      for (const [name, { type, default: value }] of Object.entries(command.options)) {
        if (value === undefined || type === 'path') continue;
        assert.deepEqual(parseArguments(command, [`--${name}`, String(value)])[name], value);
      }
      for (const [example] of command.examples) {
        const args = example.split(' ').filter(Boolean);
        try {
          parseArguments(
            command,
            args.map((arg) => (arg === "''" ? '' : arg)),
          );
        } catch (error) {
          // The example uses a file that another command writes.
          assert.match(error.message, / is build\/.*; expected an existing file$/);
        }
      }
    });
  });
}

test('values are converted', () => {
  const command = {
    name: 'npm run example',
    summary: 'An example.',
    options: {
      names: {
        type: 'name',
        list: true,
        allowEmpty: true,
        allowed: ['a', 'b'],
        default: ['a'],
        description: '',
      },
      numbers: { type: 'number', list: true, description: '' },
      share: { type: 'number', above: 0, max: 1, default: 1, description: '' },
      file: { type: 'path', placeholder: 'FILE', description: '' },
      pattern: { type: 'string', placeholder: 'PATTERN', description: '' },
      quick: { type: 'boolean', description: '' },
    },
    examples: [],
  };
  const defaults = {
    names: ['a'],
    numbers: undefined,
    share: 1,
    file: undefined,
    pattern: undefined,
    quick: false,
  };
  const parsed = (...args) => ({ ...parseArguments(command, args) });
  assert.deepEqual(parsed(), defaults);
  assert.deepEqual(parsed('--names', 'b,a', '--quick'), { ...defaults, names: ['b', 'a'], quick: true });
  assert.deepEqual(parsed('--names='), { ...defaults, names: [] });
  assert.deepEqual(parsed('--numbers', '-1,2e-3'), { ...defaults, numbers: [-1, 0.002] });
  assert.deepEqual(parsed('--share', '0.5', '--share', '0.25'), { ...defaults, share: 0.25 });
  assert.deepEqual(parsed('--file=-x', '--pattern', 'a=b'), { ...defaults, file: '-x', pattern: 'a=b' });
  assertUsageError(command, ['--share', '0'], '--share is 0; expected a number above 0 up to 1');
  assertUsageError(command, ['--share', ' '], '--share is " "; expected a number above 0 up to 1');
  assertUsageError(command, ['--names', 'a,c'], '--names is c; expected a comma-separated list of a or b');
  assertUsageError(command, ['--names', 'x'.repeat(1000)], new RegExp(`^--names is x{60}…; `));
  assertUsageError(command, ['-quick'], 'unknown option -quick; did you mean --quick?');
  assertUsageError(command, ['--', '--quick'], /^unexpected argument --quick; /);
  assert.equal(parseArguments(command, ['-h', '--unknown']), null);
  assert.equal(parseArguments(command, ['--help']), null);
});

test("runAsMain exits with the program's exit code and prints no stack", () => {
  const commands = path.join(project, 'tools/lib/commands.mjs');
  const script = `
    import { runAsMain } from ${JSON.stringify(commands)};
    await runAsMain(process.execPath, ['-e', 'console.error("a target is missed"); process.exitCode = 3']);`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.deepEqual({ status, stderr }, { status: 3, stderr: 'a target is missed\n' });
});

test('clones of the same sources have the same build fingerprint', async () => {
  const { fingerprint } = await import('../../tools/lib/stamps.mjs');
  const { fingerprint: fingerprintOfClone } = await import(path.join(clone(), 'tools/lib/stamps.mjs'));
  assert.equal(fingerprintOfClone(['a compiler'], ['tools/lib']), fingerprint(['a compiler'], ['tools/lib']));
  assert.notEqual(fingerprint(['another'], ['tools/lib']), fingerprint(['a compiler'], ['tools/lib']));
});
