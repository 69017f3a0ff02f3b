// Finds programs and libraries of the operating system, and installs missing ones with apt-get.
import { existsSync } from 'node:fs';
import os from 'node:os';
import { output, run, which } from './commands.mjs';
import { SetUpError } from './steps.mjs';

/**
 * The requirements: Debian package, name in messages, and a function that returns a true value if it is
 * installed.
 */
const requirements = {
  compiler: { package: 'g++', title: 'a C++20 compiler', isInstalled: hasCompiler },
  sanitizers: {
    package: 'clang libclang-rt-dev',
    title: 'clang with sanitizers',
    isInstalled: hasSanitizers,
  },
  ccache: { package: 'ccache', title: 'ccache', isInstalled: () => which('ccache') },
  cmake: { package: 'cmake', title: 'CMake 3.25 or newer', isInstalled: hasCmake },
  ninja: { package: 'ninja-build', title: 'Ninja', isInstalled: () => which('ninja') },
  googletest: { package: 'libgtest-dev', title: 'GoogleTest', isInstalled: hasGoogleTest },
  clangFormat: { package: 'clang-format', title: 'clang-format', isInstalled: () => which('clang-format') },
  clangTidy: { package: 'clang-tidy', title: 'clang-tidy', isInstalled: () => which('clang-tidy') },
  bubblewrap: { package: 'bubblewrap', title: 'bubblewrap', isInstalled: () => which('bwrap') },
  mmdebstrap: { package: 'mmdebstrap', title: 'mmdebstrap', isInstalled: () => which('mmdebstrap') },
  chromium: { package: 'chromium', title: 'Chromium', isInstalled: () => which('chromium') },
  firefox: { package: 'firefox-esr', title: 'Firefox', isInstalled: () => which('firefox-esr') },
  webkit: {
    package: 'webkit2gtk-driver',
    title: "WebKitGTK's MiniBrowser and WebKitWebDriver",
    isInstalled: () => which('WebKitWebDriver'),
  },
  xvfb: { package: 'xvfb', title: 'Xvfb', isInstalled: () => which('Xvfb') },
  vulkan: { package: 'libvulkan1', title: "Vulkan's loader", isInstalled: hasVulkan },
};

function hasCompiler() {
  return which('g++') ?? which('clang++');
}

function hasCmake() {
  const version = output('cmake', ['--version'])?.match(/(\d+)\.(\d+)/);
  return version && (version[1] > 3 || (version[1] === '3' && version[2] >= 25));
}

/** Compiles a program: the libraries of the sanitizers may be in a separate package. */
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
  // On Debian, ldconfig is not on every user's PATH.
  return ['ldconfig', '/sbin/ldconfig'].some((program) =>
    output(program, ['-p'])?.includes('libvulkan.so.1'),
  );
}

/**
 * Installs missing requirements. `names`: keys of requirements. Resolves to a text that says what was
 * installed.
 */
export function ensureSystemPackages(names) {
  // In sequence: apt-get locks its database.
  const result = previous.then(() => install(names));
  previous = result.catch(() => {});
  return result;
}

let previous = Promise.resolve();

async function install(names) {
  const missing = names.map((name) => requirements[name]).filter(({ isInstalled }) => !isInstalled());
  if (missing.length === 0) return 'all installed';
  const packages = missing.flatMap((requirement) => requirement.package.split(' '));
  const list = missing.map(({ title }) => title).join(', ');
  const asRoot = process.getuid?.() === 0 ? [] : which('sudo') ? ['sudo', '-n'] : null;
  if (!which('apt-get') || asRoot === null) {
    throw new SetUpError(
      `${list}: not installed. On Debian and Ubuntu, run: sudo apt-get install ${packages.join(' ')}`,
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
      `${list} could not be installed. Run: sudo apt-get install ${packages.join(' ')}\n${error.message}`,
    );
  }
  const failed = missing.filter(({ isInstalled }) => !isInstalled()).map(({ title }) => title);
  if (failed.length > 0) {
    throw new SetUpError(`${failed.join(', ')}: not found after apt-get install ${packages.join(' ')}`);
  }
  return `installed ${packages.join(', ')}`;
}
