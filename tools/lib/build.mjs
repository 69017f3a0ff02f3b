// Builds the four WebAssembly variants, the package that contains them, and the native programs.
import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { run } from './commands.mjs';
import { compilerCacheEnvironment, hasCompilerCache } from './compiler_cache.mjs';
import { prepareEmscripten } from './emscripten.mjs';
import { writeDeclarations } from './declarations.mjs';
import { buildForTests } from './for_tests.mjs';
import { checkArchives, writeLicenses } from './licenses.mjs';
import { prepareNodeModules } from './node_modules.mjs';
import { cachedOutputs } from './output_cache.mjs';
import { project } from './paths.mjs';
import { fingerprint, isDone, unlessDone } from './stamps.mjs';
import { showProgress, step } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';
import { wgslPlugin } from './wgsl_plugin.mjs';

/** The WebAssembly modules of every variant: the layer, and the diffusion model. */
const modules = ['cross-attention', 'denoiser'];
export const variants = ['relaxed-threads', 'relaxed', 'baseline-threads', 'baseline'];

/** Returns the path of the microkernel alone, for the benchmarks. It does not depend on threads. */
export const ceilingFile = (simd) => path.join(project, ceilingOf(simd));
const ceilingOf = (simd) => `build/wasm-${simd}/bench/ceiling/cross_attention_ceiling.wasm`;

/** Returns the output files of a variant's build, relative to the project. */
export const variantFiles = (variant) => [
  ...modules.flatMap((module) => ['js', 'wasm'].map((ending) => `dist/wasm/${module}-${variant}.${ending}`)),
  ...(variant.endsWith('-threads') ? [] : [ceilingOf(variant)]),
];

/** The inputs of a variant's build. */
const variantSources = [
  ...['src', 'bindings/embind', 'bindings/CMakeLists.txt', 'bench/ceiling', 'cmake', 'CMakeLists.txt'],
  ...['CMakePresets.json', 'tools/lib/build.mjs'],
];

const variantKey = ({ identity }, variant) => fingerprint([identity, variant], variantSources);
const stampOf = (variant) => `wasm-${variant}`;

/** True if the modules of a variant are up to date. */
export const isBuilt = (emscripten, variant) =>
  isDone(stampOf(variant), variantKey(emscripten, variant), variantFiles(variant));

/** Builds the modules of one variant in dist/wasm. */
export function buildWasm(emscripten, variant) {
  return step(`WebAssembly, ${variant}`, async () => {
    const key = variantKey(emscripten, variant);
    const results = variantFiles(variant);
    let copied = false;
    await unlessDone(stampOf(variant), key, results, async () => {
      copied = await cachedOutputs(key, results, () => compileVariant(emscripten, variant));
    });
    return copied ? 'copied from the cache' : '';
  });
}

async function compileVariant(emscripten, variant) {
  const preset = `wasm-${variant}`;
  const start = (program, ...args) =>
    run(...emscripten.command(program, args), { cwd: project, onLine: showProgress });
  await start('emcmake', 'cmake', '--preset', preset, `-DCROSS_ATTENTION_INCLUDE=${emscripten.include}`);
  checkArchives(await start('ninja', '-C', `build/${preset}`));
  mkdirSync(path.join(project, 'dist/wasm'), { recursive: true });
  for (const name of modules.map((module) => `${module}-${variant}`)) {
    const built = path.join(project, `build/${preset}/bindings`, name);
    const target = path.join(project, 'dist/wasm', name);
    cpSync(`${built}.wasm`, `${target}.wasm`);
    writeFileSync(`${target}.js`, await minified(readFileSync(`${built}.js`, 'utf8')));
  }
}

/** Minifies a loader. Emscripten removes only its spaces; shorter names save a fifth of the download. */
async function minified(loader) {
  const { transform } = await import('esbuild');
  return (await transform(loader, { minify: true, format: 'esm', target: 'es2022' })).code;
}

const packageVersion = () => JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8')).version;

/**
 * Numbers the shared chunks in the order in which the entries import them, instead of esbuild's hashes.
 * Hashes do not compress, and change the size of the download at random by 60 bytes.
 */
function numberChunks(folder) {
  const files = readdirSync(folder).filter((name) => /\.js(\.map)?$/.test(name));
  const numbers = new Map();
  const chunk = /\bshared-[A-Z0-9]{8}\b/g;
  const number = (name) => {
    if (!numbers.has(name)) numbers.set(name, `shared${numbers.size + 1}`);
    return numbers.get(name);
  };
  for (const name of files.sort()) {
    const file = path.join(folder, name);
    writeFileSync(file, readFileSync(file, 'utf8').replace(chunk, number));
  }
  for (const name of files) {
    const numbered = name.replace(chunk, number);
    if (numbered !== name) renameSync(path.join(folder, name), path.join(folder, numbered));
  }
}

/** Entries of the package, which have type declarations. */
const entries = ['index', 'onnx', 'denoiser'];

/** Builds the JavaScript and the type declarations of the package in dist/. */
async function bundlePackage() {
  for (const name of readdirSync(path.join(project, 'dist'))) {
    if (name !== 'wasm') rmSync(path.join(project, 'dist', name), { recursive: true });
  }
  const { build } = await import('esbuild');
  const { metafile } = await build({
    entryPoints: {
      ...Object.fromEntries(entries.map((name) => [name, path.join(project, `bindings/package/${name}.ts`)])),
      // Loaded by init if there may be a GPU.
      webgpu: path.join(project, 'bindings/webgpu/index.ts'),
      // Loaded by Trainer.onWebGPU.
      denoiser_webgpu: path.join(project, 'bindings/webgpu/denoiser/index.ts'),
    },
    outdir: path.join(project, 'dist'),
    bundle: true,
    // Entries share chunks, so that a class exists only once.
    splitting: true,
    chunkNames: 'shared-[hash]',
    minify: true,
    // With the sources inside, which the package does not contain.
    sourcemap: true,
    metafile: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2022',
    // Loaded at run time: Emscripten's modules and the entries for WebGPU.
    external: ['./wasm/*', './webgpu.js', './denoiser_webgpu.js', 'node:*'],
    define: { packageVersion: JSON.stringify(packageVersion()) },
    plugins: [wgslPlugin],
  });
  numberChunks(path.join(project, 'dist'));
  await writeDeclarations(entries);
  writeLicenses(metafile);
  const weights = 'dist/weights/scenes.safetensors';
  cpSync(path.join(project, 'web/model/scenes.safetensors'), path.join(project, weights));
}

const packageFiles = [
  ...[...entries, 'webgpu', 'denoiser_webgpu'].map((name) => `dist/${name}.js`),
  ...entries.map((name) => `dist/${name}.d.ts`),
  'dist/licenses.txt',
  'dist/weights/scenes.safetensors',
];

function buildPackage() {
  const tools = ['build', 'declarations', 'licenses', 'wgsl_plugin'].map((name) => `tools/lib/${name}.mjs`);
  const folders = ['bindings/package', 'bindings/webgpu', 'tools/licenses', 'web/model'];
  const sources = [...folders, 'package.json', ...tools];
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
  const compiler = preset === 'sanitize' ? 'sanitizers' : 'compiler';
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
