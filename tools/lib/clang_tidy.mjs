// Runs clang-tidy on the unity files of src/. Files that passed before are not checked again. Headers are
// parsed once per unity file: all of them take 50 s instead of 500 s.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { output, run } from './commands.mjs';
import { compilerCacheEnvironment } from './compiler_cache.mjs';
import { inParallel } from './parallel.mjs';
import { cache, project } from './paths.mjs';
import { SetUpError } from './steps.mjs';

const stamps = path.join(cache, 'clang-tidy');

/**
 * Checks the sources that CMake compiles in the build folder of `preset`. Throws SetUpError with all
 * warnings.
 */
export async function runClangTidy(preset) {
  const build = path.join(project, 'build', preset);
  const commands = JSON.parse(readFileSync(path.join(build, 'compile_commands.json'), 'utf8'));
  const sources = commands.filter(({ file }) => file.startsWith(path.join(build, 'src/')));
  const settings = output('clang-tidy', ['--version']) + readFileSync(path.join(project, '.clang-tidy'));
  mkdirSync(stamps, { recursive: true });
  const warnings = [];
  let checked = 0;
  await inParallel(sources, async (source) => {
    const stamp = path.join(stamps, await fingerprint(source, settings));
    if (existsSync(stamp)) return;
    checked += 1;
    // Unity files include sources.
    const args = ['--quiet', '--checks=-bugprone-suspicious-include', '-p', build, source.file];
    try {
      await run('clang-tidy', args, { cwd: project });
      writeFileSync(stamp, '');
    } catch (error) {
      warnings.push(error.message);
    }
  });
  if (warnings.length > 0) throw new SetUpError(warnings.join('\n'));
  return `${checked} of ${sources.length} unity files, the others passed before`;
}

/**
 * Returns a hash of the text that clang-tidy reads: preprocessed, with comments (they may name checks),
 * without paths.
 */
async function fingerprint({ command, directory }, settings) {
  const preprocess = command.replace(/ -o \S+ -c /, ' -E -C -P ');
  const env = { ...process.env, ...compilerCacheEnvironment };
  const hash = createHash('sha256').update(settings);
  await run('sh', ['-c', preprocess], { cwd: directory, env, onOutput: (chunk) => hash.update(chunk) });
  return hash.digest('hex');
}
