// npm run lint: what the style says, checked. --fix (npm run format) mends what can be mended.
import path from 'node:path';
import { buildDist, buildNative } from './lib/build.mjs';
import { readCommandLine } from './lib/command_line.mjs';
import { output, run } from './lib/commands.mjs';
import { prepareEmscripten } from './lib/emscripten.mjs';
import { prepareNodeModules } from './lib/node_modules.mjs';
import { project } from './lib/paths.mjs';
import { main, SetUpError, step } from './lib/steps.mjs';
import { ensureSystemPackages } from './lib/system_packages.mjs';

const program = (name) => path.join('node_modules/.bin', name);
const tracked = (...patterns) =>
  output('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...patterns], { cwd: project })
    .split('\n')
    .filter(Boolean);

/** clang-tidy over the sources, as many at a time as there are cores. */
async function runClangTidy(files) {
  const { availableParallelism } = await import('node:os');
  const waiting = [...files];
  const failures = [];
  const work = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      await run('clang-tidy', ['--quiet', '-p', 'build/release', file], { cwd: project }).catch((error) =>
        failures.push(error.message),
      );
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  if (failures.length > 0) throw new SetUpError(failures.join('\n'));
}

export async function lint({ fix = false } = {}) {
  await prepareNodeModules();
  await ensureSystemPackages(['clangFormat', 'clangTidy']);
  const cpp = tracked('*.cpp', '*.hpp');
  await step('clang-format', () =>
    run('clang-format', [...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...cpp], { cwd: project }),
  );
  await step('Prettier', () =>
    run(program('prettier'), [fix ? '--write' : '--check', '.'], { cwd: project }),
  );
  await step('ESLint', () => run(program('eslint'), ['.', ...(fix ? ['--fix'] : [])], { cwd: project }));
  await step('TypeScript', async () => {
    for (const config of tracked('*tsconfig.json')) {
      await run(program('tsc'), ['--noEmit', '-p', config], { cwd: project });
    }
  });
  const { include } = await prepareEmscripten();
  await step('clang-tidy', async () => {
    await buildNative('release', include);
    await runClangTidy(cpp.filter((file) => file.startsWith('src/') && file.endsWith('.cpp')));
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
  },
  examples: [
    ['', 'Checks all sources and changes nothing.'],
    ['--fix', 'Formats all sources, then checks them.'],
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
