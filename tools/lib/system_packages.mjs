// Programs and libraries of the operating system: taken where they are, else installed by apt-get.
import { existsSync } from 'node:fs';
import os from 'node:os';
import { output, run, which } from './commands.mjs';
import { SetUpError } from './steps.mjs';

/** What we need, the Debian package that has it, and how to see that it is there. */
const requirements = {
  compiler: { package: 'g++', what: 'a C++20 compiler', there: () => which('g++') ?? which('clang++') },
  sanitizers: { package: 'clang libclang-rt-dev', what: 'clang with sanitizers', there: hasSanitizers },
  ccache: { package: 'ccache', what: 'ccache', there: () => which('ccache') },
  cmake: { package: 'cmake', what: 'CMake 3.25 or newer', there: hasCmake },
  ninja: { package: 'ninja-build', what: 'Ninja', there: () => which('ninja') },
  googletest: { package: 'libgtest-dev', what: 'GoogleTest', there: hasGoogleTest },
  clangFormat: { package: 'clang-format', what: 'clang-format', there: () => which('clang-format') },
  clangTidy: { package: 'clang-tidy', what: 'clang-tidy', there: () => which('clang-tidy') },
  bubblewrap: { package: 'bubblewrap', what: 'bubblewrap', there: () => which('bwrap') },
  mmdebstrap: { package: 'mmdebstrap', what: 'mmdebstrap', there: () => which('mmdebstrap') },
  chromium: { package: 'chromium', what: 'Chromium', there: () => which('chromium') },
  vulkan: { package: 'libvulkan1', what: "Vulkan's loader", there: hasVulkan },
};

function hasCmake() {
  const version = output('cmake', ['--version'])?.match(/(\d+)\.(\d+)/);
  return version && (version[1] > 3 || (version[1] === '3' && version[2] >= 25));
}

/** Their libraries may be a package of their own. */
function hasSanitizers() {
  const args = ['-fsanitize=address,undefined', '-x', 'c++', '-', '-o', os.devNull];
  return output('clang++', args, { input: 'int main() {}', stdio: ['pipe', 'pipe', 'ignore'] }) !== null;
}

function hasGoogleTest() {
  return ['/usr/include', '/usr/local/include', '/opt/homebrew/include'].some((folder) =>
    existsSync(`${folder}/gtest/gtest.h`),
  );
}

function hasVulkan() {
  // Debian's ldconfig is not on everyone's PATH.
  return ['ldconfig', '/sbin/ldconfig'].some((program) =>
    output(program, ['-p'])?.includes('libvulkan.so.1'),
  );
}

/** Installs those of `names` (keys of requirements) that are missing. Returns what it installed. */
export function ensureSystemPackages(names) {
  // One after another: apt-get locks its database.
  const result = previous.then(() => install(names));
  previous = result.catch(() => {});
  return result;
}

let previous = Promise.resolve();

async function install(names) {
  const missing = names.map((name) => requirements[name]).filter(({ there }) => !there());
  if (missing.length === 0) return 'all there';
  const packages = missing.flatMap((requirement) => requirement.package.split(' '));
  const list = missing.map(({ what }) => what).join(', ');
  const asRoot = process.getuid?.() === 0 ? [] : which('sudo') ? ['sudo', '-n'] : null;
  if (!which('apt-get') || asRoot === null) {
    throw new SetUpError(
      `Missing: ${list}.\nPlease install them; on Debian and Ubuntu: sudo apt-get install ${packages.join(' ')}`,
    );
  }
  console.log(`  installing ${list} (apt-get install ${packages.join(' ')})`);
  const environment = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  const aptGet = (...args) => {
    const [program, ...rest] = [...asRoot, 'apt-get', ...args];
    return run(program, rest, environment);
  };
  try {
    await aptGet('update');
    await aptGet('install', '-y', '--no-install-recommends', ...packages);
  } catch (error) {
    throw new SetUpError(
      `Could not install ${list}. By hand: sudo apt-get install ${packages.join(' ')}\n${error.message}`,
    );
  }
  const still = missing.filter(({ there }) => !there()).map(({ what }) => what);
  if (still.length > 0) {
    throw new SetUpError(`apt-get installed ${packages.join(' ')}, but still missing: ${still.join(', ')}`);
  }
  return `installed ${packages.join(', ')}`;
}
