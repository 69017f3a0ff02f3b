// clang-tidy over the unity files of src/, of which those that passed before are not checked again: with the headers
// parsed once a unity file, all of them cost 50 s instead of 500.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { output, run } from './commands.mjs';
import { compilerCacheEnvironment } from './compiler_cache.mjs';
import { inParallel } from './parallel.mjs';
import { cache, project } from './paths.mjs';
import { SetUpError } from './steps.mjs';

const stamps = path.join(cache, 'clang-tidy');

/** Checks the sources that CMake compiles in a build folder of `preset`. Throws SetUpError with all complaints. */
export async function runClangTidy(preset) {
  const build = path.join(project, 'build', preset);
  const commands = JSON.parse(readFileSync(path.join(build, 'compile_commands.json'), 'utf8'));
  const sources = commands.filter(({ file }) => file.startsWith(path.join(build, 'src/')));
  const settings = output('clang-tidy', ['--version']) + readFileSync(path.join(project, '.clang-tidy'));
  mkdirSync(stamps, { recursive: true });
  const complaints = [];
  let checked = 0;
  await inParallel(sources, async (source) => {
    const stamp = path.join(stamps, await fingerprint(source, settings));
    if (existsSync(stamp)) return;
    checked += 1;
    // A unity file includes sources, as it should.
    const args = ['--quiet', '--checks=-bugprone-suspicious-include', '-p', build, source.file];
    try {
      await run('clang-tidy', args, { cwd: project });
      writeFileSync(stamp, '');
    } catch (error) {
      complaints.push(error.message);
    }
  });
  if (complaints.length > 0) throw new SetUpError(complaints.join('\n'));
  return `${checked} of ${sources.length} unity files, the others passed before`;
}

/** Of what clang-tidy reads: the preprocessed text with its comments, which may name checks. Without paths. */
async function fingerprint({ command, directory }, settings) {
  const preprocess = command.replace(/ -o \S+ -c /, ' -E -C -P ');
  const env = { ...process.env, ...compilerCacheEnvironment };
  const hash = createHash('sha256').update(settings);
  await run('sh', ['-c', preprocess], { cwd: directory, env, onOutput: (chunk) => hash.update(chunk) });
  return hash.digest('hex');
}
