// npm run lint: checks the format, the style and the types of all sources.
import path from 'node:path';
import { buildDist, buildNative } from './lib/build.mjs';
import { checkWgsl } from './lib/check_wgsl.mjs';
import { runClangTidy } from './lib/clang_tidy.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { output, run } from './lib/commands.mjs';
import { prepareEmscripten } from './lib/emscripten.mjs';
import { prepareNodeModules } from './lib/node_modules.mjs';
import { inParallel } from './lib/parallel.mjs';
import { project } from './lib/paths.mjs';
import { main, red, SetUpError, step } from './lib/steps.mjs';
import { ensureSystemPackages } from './lib/system_packages.mjs';
import { checkPublished } from './lint/published.mjs';
import { checkText } from './lint/text.mjs';

const git = (...args) => (output('git', args, { cwd: project }) ?? '').split('\n').filter(Boolean);

/** Returns all files of the project that git does not ignore. */
const allFiles = () => git('ls-files', '--cached', '--others', '--exclude-standard');

/**
 * Returns the files that differ from the upstream branch, or from the last commit if there is no upstream
 * branch.
 */
function changedFiles() {
  const [base = 'HEAD'] = git('merge-base', 'HEAD', '@{upstream}');
  const deleted = git('ls-files', '--deleted');
  const changed = [...git('diff', '--name-only', base), ...git('ls-files', '--others', '--exclude-standard')];
  return changed.filter((file) => !deleted.includes(file));
}

const isCpp = (file) => /\.[ch]pp$/.test(file);
const isScript = (file) => /\.(mjs|js|ts)$/.test(file);
const isText = (file) => !/\.(onnx|png|svg|safetensors)$|package-lock\.json$/.test(file);
const isWebGpu = (file) => file.startsWith('bindings/webgpu/');
const isFormatted = (file) => /\.(mjs|js|ts|json|html|css|yml)$/.test(file);

/** Runs all checks. Throws SetUpError with the output of all programs that fail. */
export async function lint({ fix = false, changed = false } = {}) {
  await prepareNodeModules();
  await ensureSystemPackages(['clangFormat', 'clangTidy']);
  const files = changed ? changedFiles() : allFiles();
  const checks = [];
  const add = (title, inputs, program, args, operands = inputs) => {
    if (inputs.length === 0) return;
    const file = program.startsWith('clang') ? program : path.join('node_modules/.bin', program);
    checks.push({ title, work: () => run(file, [...args, ...operands], { cwd: project }).then(() => '') });
  };
  const operandsOf = (inputs) => (changed ? inputs : ['.']);
  const scripts = files.filter(isScript);
  const formatted = files.filter(isFormatted);
  add('clang-format', files.filter(isCpp), 'clang-format', fix ? ['-i'] : ['--dry-run', '-Werror']);
  add('Prettier', formatted, 'prettier', [fix ? '--write' : '--check'], operandsOf(formatted));
  add('ESLint', scripts, 'eslint', fix ? ['--fix'] : [], operandsOf(scripts));
  // tests/node/types.test.mjs checks tests/types.
  const isProject = (file) => file.endsWith('tsconfig.json') && !file.startsWith('tests/');
  for (const config of allFiles().filter(isProject)) {
    add(`TypeScript, ${config}`, scripts, 'tsc', ['--noEmit', '-p'], [config]);
  }
  checks.push({ title: 'words and lines', work: () => checkText(files) });
  const spelled = files.filter(isText);
  const spelling = ['--no-progress', '--no-summary', '--config', 'tools/lint/cspell.json'];
  add('spelling', spelled, 'cspell', [...spelling, '--cache', '--cache-location', 'build/cspell']);
  const roots = ['bindings', 'web', 'tools', 'bench', 'support', 'evaluation', 'tests'];
  add('dependencies', scripts, 'depcruise', ['--config', 'tools/lint/dependencies.json'], roots);
  if (files.some(isWebGpu)) checks.push({ title: 'WGSL', work: checkWgsl });
  const isPublished = (file) => file === 'package.json' || file.startsWith('bindings/package/');
  if (files.some(isPublished)) checks.push({ title: 'published package', work: checkPublished });
  // With --fix, programs change files: they run in sequence.
  const failures = [];
  const check = ({ title, work }) =>
    step(title, work).catch((error) => failures.push(`${red('✗')} ${title}\n${error.message}`));
  await inParallel(checks, check, fix ? 1 : 2);
  if (failures.length > 0) throw new SetUpError(failures.join('\n'));
  if (!files.some(isCpp)) return;
  const { include } = await prepareEmscripten();
  await step('clang-tidy', async () => {
    await buildNative('release', include);
    return runClangTidy('release');
  });
}

export const command = {
  name: 'npm run lint',
  summary:
    'Checks the format, style, types, words and dependencies of all sources with clang-format, Prettier, ' +
    'ESLint, TypeScript, cspell, dependency-cruiser and clang-tidy.',
  options: {
    fix: {
      type: 'boolean',
      description: 'Fixes problems where possible. `npm run format` is short for `npm run lint -- --fix`.',
    },
    changed: {
      type: 'boolean',
      description:
        'Checks only files that differ from the upstream branch, or from the last commit if there is none.',
    },
  },
  examples: [
    ['', 'Checks all sources and changes nothing.'],
    ['--changed', 'Checks only changed files.'],
  ],
};

if (process.argv[1] === import.meta.filename) {
  const options = readCommandLine(command);
  await main(async () => {
    // The types of the site and of the tests depend on dist/.
    await buildDist();
    await lint(options);
  });
}
