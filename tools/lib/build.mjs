// Builds the four WebAssembly variants, the package that contains them, and the native programs.
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { run } from './commands.mjs';
import { compilerCacheEnvironment, hasCompilerCache } from './compiler_cache.mjs';
import { prepareEmscripten } from './emscripten.mjs';
import { buildForTests } from './for_tests.mjs';
import { prepareNodeModules } from './node_modules.mjs';
import { bundlePackage, packageFiles } from './package_bundle.mjs';
import { project } from './paths.mjs';
import { fingerprint, unlessDone } from './stamps.mjs';
import { step } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';
import { buildWasm, variants } from './wasm.mjs';

function buildPackage() {
  const modules = ['package_bundle', 'declarations', 'licenses', 'wgsl_plugin'];
  const tools = ['tools/licenses', ...modules.map((name) => `tools/lib/${name}.mjs`)];
  // Some files of dist/wasm are embedded.
  const content = ['bindings/package', 'bindings/webgpu', 'dist/wasm', 'web/model', 'package.json'];
  const sources = [...content, ...tools];
  return unlessDone('package', fingerprint([], sources), packageFiles, bundlePackage);
}

function sizes() {
  const folder = path.join(project, 'dist/wasm');
  const wasm = readdirSync(folder).filter((name) => name.endsWith('.wasm'));
  return wasm.map((name) => `${(statSync(path.join(folder, name)).size / 1000).toFixed(0)} KB`).join(', ');
}

/**
 * Installs the npm packages and Emscripten concurrently: both mostly wait for the network. Returns
 * Emscripten.
 */
export async function prepareBuild() {
  const packages = prepareNodeModules();
  const [emscripten] = await Promise.all([prepareEmscripten(), packages]);
  return emscripten;
}

/** Builds dist/, the importable package, with all variants or only some of them. Returns Emscripten. */
export async function buildDist({ only = variants, emscripten = null } = {}) {
  emscripten ??= await prepareBuild();
  for (const variant of only) await buildWasm(emscripten, variant);
  await step('package in dist/', async () => {
    await buildPackage();
    await buildForTests();
    return `(.wasm: ${sizes()})`;
  });
  return emscripten;
}

/** Builds targets of a CMake preset for this machine. `include`: see prepareEmscripten. */
export async function buildNative(preset, include, targets = []) {
  const compiler = ['sanitize', 'tsan', 'fuzz'].includes(preset) ? 'sanitizers' : 'compiler';
  await ensureSystemPackages([compiler, 'cmake', 'ninja', 'googletest']);
  const launcher = (await hasCompilerCache()) ? 'ccache' : '';
  const options = [`-DCROSS_ATTENTION_INCLUDE=${include}`, `-DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}`];
  const environment = { cwd: project, env: { ...process.env, ...compilerCacheEnvironment } };
  await run('cmake', ['--preset', preset, ...options], environment);
  const target = targets.flatMap((name) => ['--target', name]);
  await run('cmake', ['--build', `build/${preset}`, ...target], environment);
}

/** Builds the program that trains the denoiser for this machine. Returns its path. */
export async function buildTrainer(include) {
  await buildNative('train', include, ['train_denoiser']);
  return path.join(project, 'build/train/tools/train/train_denoiser');
}
