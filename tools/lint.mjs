// npm run lint: the format, the style and the types of all sources.
import path from 'node:path';
import { buildDist, buildNative } from './lib/build.mjs';
import { runClangTidy } from './lib/clang_tidy.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { output, run } from './lib/commands.mjs';
import { prepareEmscripten } from './lib/emscripten.mjs';
import { prepareNodeModules } from './lib/node_modules.mjs';
import { inParallel } from './lib/parallel.mjs';
import { project } from './lib/paths.mjs';
import { main, step } from './lib/steps.mjs';
import { ensureSystemPackages } from './lib/system_packages.mjs';

const git = (...args) => (output('git', args, { cwd: project }) ?? '').split('\n').filter(Boolean);

/** All files of the project that git does not ignore. */
const allFiles = () => git('ls-files', '--cached', '--others', '--exclude-standard');

/** Those that differ from the upstream branch, from the last commit if there is none. */
function changedFiles() {
  const [base = 'HEAD'] = git('merge-base', 'HEAD', '@{upstream}');
  const deleted = git('ls-files', '--deleted');
  const changed = [...git('diff', '--name-only', base), ...git('ls-files', '--others', '--exclude-standard')];
  return changed.filter((file) => !deleted.includes(file));
}

const isCpp = (file) => /\.[ch]pp$/.test(file);
const isScript = (file) => /\.(mjs|js|ts)$/.test(file);
const isFormatted = (file) => /\.(mjs|js|ts|json|html|css|yml)$/.test(file);

/** Throws the complaints of the first program that has some. */
export async function lint({ fix = false, changed = false } = {}) {
  await prepareNodeModules();
  await ensureSystemPackages(['clangFormat', 'clangTidy']);
  const files = changed ? changedFiles() : allFiles();
  const checks = [];
  const add = (title, needed, program, args, given = needed) => {
    if (needed.length === 0) return;
    const file = program.startsWith('clang') ? program : path.join('node_modules/.bin', program);
    checks.push({ title, work: () => run(file, [...args, ...given], { cwd: project }).then(() => '') });
  };
  const everything = (some) => (changed ? some : ['.']);
  const scripts = files.filter(isScript);
  const formatted = files.filter(isFormatted);
  add('clang-format', files.filter(isCpp), 'clang-format', fix ? ['-i'] : ['--dry-run', '-Werror']);
  add('Prettier', formatted, 'prettier', [fix ? '--write' : '--check'], everything(formatted));
  add('ESLint', scripts, 'eslint', fix ? ['--fix'] : [], everything(scripts));
  // tests/node/types.test.mjs runs those of tests/types.
  const isProject = (file) => file.endsWith('tsconfig.json') && !file.startsWith('tests/');
  for (const config of allFiles().filter(isProject)) {
    add(`TypeScript, ${config}`, scripts, 'tsc', ['--noEmit', '-p'], [config]);
  }
  // Fixes change files, one program after another.
  await inParallel(checks, ({ title, work }) => step(title, work), fix ? 1 : 2);
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
    'Checks the format, the style and the types of all sources: clang-format, Prettier, ESLint, TypeScript, clang-tidy.',
  options: {
    fix: {
      type: 'boolean',
      description: 'Fixes what the programs can fix; `npm run format` is `npm run lint -- --fix`.',
    },
    changed: {
      type: 'boolean',
      description:
        'Checks only files that differ from the upstream branch, or from the last commit if there is none.',
    },
  },
  examples: [
    ['', 'Checks all sources and changes nothing.'],
    ['--changed', 'Checks what was changed.'],
  ],
};

if (process.argv[1] === import.meta.filename) {
  const options = readCommandLine(command);
  await main(async () => {
    // The site's and the tests' types look at dist/.
    await buildDist();
    await lint(options);
  });
}
