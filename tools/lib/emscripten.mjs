// Finds Emscripten 6 on PATH or in emsdk, or installs it in a container.
//
// The container is a folder with packages of Debian testing, whose Emscripten is new enough. bubblewrap runs
// it, so that no package of the host changes. The folder is in the user's cache, shared by all clones.
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { output, run, which } from './commands.mjs';
import { compilerCacheEnvironment, hasCompilerCache } from './compiler_cache.mjs';
import { cache, project } from './paths.mjs';
import { SetUpError, step } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';

const minVersion = 6;
/** Increment the number when the packages change, so that old containers are not used. */
const containerName = 'emscripten-container-2';
/** The sources of Emscripten's system libraries, in the container. */
const systemLibraries = 'usr/share/emscripten/system/lib';
const containerPackages =
  'emscripten,libxsimd-dev,rapidjson-dev,ccache,clang-tidy,' +
  'dash,bash,coreutils,sed,grep,findutils,cmake,ninja-build';

function versionOf(emcc) {
  const version = output(emcc, ['--version'])?.match(/\) (\d+)\.(\d+)\.(\d+)/);
  return version ? version.slice(1).map(Number) : null;
}

/**
 * Looks for a new enough emcc on PATH and in emsdk. Returns the folder to add to PATH, '' if emcc is on PATH,
 * null if there is none.
 */
function findInstalled() {
  if (which('emcc') && (versionOf('emcc')?.[0] ?? 0) >= minVersion) return '';
  for (const emsdk of [process.env.EMSDK, path.join(os.homedir(), 'emsdk'), '/opt/emsdk', '/emsdk']) {
    const folder = emsdk && path.join(emsdk, 'upstream', 'emscripten');
    const emcc = folder && path.join(folder, 'emcc');
    if (emcc && existsSync(emcc) && (versionOf(emcc)?.[0] ?? 0) >= minVersion) return folder;
  }
  return null;
}

async function buildContainer(root) {
  await ensureSystemPackages(['mmdebstrap', 'bubblewrap']);
  const unfinished = `${root}.${process.pid}`;
  try {
    await run('mmdebstrap', [
      '--mode=root',
      '--variant=extract',
      // Mirrors of Debian testing may be a few days old.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      '--aptopt=Apt::Install-Recommends "false"',
      `--include=${containerPackages}`,
      'forky',
      unfinished,
    ]);
    // The renaming is atomic. Another clone may have finished first.
    if (!existsSync(root)) renameSync(unfinished, root);
  } catch (error) {
    throw new SetUpError(
      'Emscripten 6 is missing and its container could not be built.\n' +
        'Install emsdk (https://emscripten.org/docs/getting_started/downloads.html), or run this command ' +
        `as root on Debian 12 or newer.\n${error.message}`,
    );
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** Copies the headers of xsimd and RapidJSON: the rest of /usr/include must not be on the compiler's path. */
function copyHeaders(root) {
  const include = path.join(cache, `${containerName}-include`);
  if (existsSync(include)) return include;
  const unfinished = `${include}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  for (const library of ['xsimd', 'rapidjson']) {
    cpSync(path.join(root, 'usr/include', library), path.join(unfinished, library), { recursive: true });
  }
  if (!existsSync(include)) renameSync(unfinished, include);
  rmSync(unfinished, { recursive: true, force: true });
  return include;
}

/**
 * Prepares Emscripten and returns how to use it: `command(program, args)` returns the program and the
 * arguments to start; `include` is the folder with the headers of xsimd and RapidJSON, '' if CMake finds
 * them; `identity` is a text that changes with the toolchain.
 */
export async function prepareEmscripten() {
  let emscripten;
  await step('Emscripten', async () => {
    const folder = findInstalled();
    if (folder !== null) {
      if (folder) process.env.PATH = `${folder}${path.delimiter}${process.env.PATH}`;
      await ensureSystemPackages(['cmake', 'ninja']);
      if (await hasCompilerCache()) {
        Object.assign(process.env, compilerCacheEnvironment, { EM_COMPILER_WRAPPER: 'ccache' });
      }
      const version = versionOf('emcc').join('.');
      emscripten = { include: '', identity: version, command: (program, args) => [program, args] };
      return `${version} ${folder ? `in ${folder}` : 'on PATH'}`;
    }
    const root = path.join(cache, containerName);
    if (!existsSync(root)) {
      console.log(
        `  no emcc ${minVersion}.0 or newer on PATH or in emsdk: installing a container (1 GB) in ${root}`,
      );
      await buildContainer(root);
    }
    await ensureSystemPackages(['bubblewrap']);
    const emCache = path.join(cache, 'emscripten-cache');
    mkdirSync(emCache, { recursive: true });
    const bind = (from, to = from) => ['--ro-bind', from, to];
    const container = [
      ...bind(`${root}/usr`, '/usr'),
      // compiler_wrapper.py writes temporary objects there.
      ...['--bind', `${root}/${systemLibraries}`, `/${systemLibraries}`],
      ...['lib', 'lib64', 'bin', 'sbin'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
      ...bind(`${root}/etc`, '/etc'),
      ...['--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp', '--die-with-parent'],
      ...['--bind', cache, cache, '--bind', project, project],
      ...Object.entries({
        ...compilerCacheEnvironment,
        EM_CACHE: emCache,
        EM_COMPILER_WRAPPER: path.join(project, 'tools/emscripten/compiler_wrapper.py'),
        PATH: '/usr/bin:/bin',
      }).flatMap(([name, value]) => ['--setenv', name, value]),
      ...['--chdir', project, '--'],
    ];
    emscripten = {
      include: copyHeaders(root),
      identity: containerName,
      command: (program, args) => ['bwrap', [...container, program, ...args]],
    };
    return `in the container ${root}`;
  });
  return emscripten;
}
