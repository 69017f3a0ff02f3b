// Builds the WebAssembly modules of each variant in dist/wasm.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './commands.mjs';
import { adaptLoader, nameModule, workerScript } from './loader.mjs';
import { checkArchives } from './licenses.mjs';
import { cachedOutputs } from './output_cache.mjs';
import { project } from './paths.mjs';
import { fingerprint, isDone, unlessDone } from './stamps.mjs';
import { showProgress, step } from './steps.mjs';

/** The WebAssembly modules of every variant: the layer, and the diffusion model. */
const modules = ['cross-attention', 'denoiser'];
export const variants = ['relaxed-threads', 'relaxed', 'baseline-threads', 'baseline'];

/** Returns the path of the microkernel alone, for the benchmarks. It does not depend on threads. */
export const ceilingFile = (simd) => path.join(project, ceilingOf(simd));
const ceilingOf = (simd) => `build/wasm-${simd}/bench/ceiling/cross_attention_ceiling.wasm`;

const hasThreads = (variant) => variant.endsWith('-threads');
const endingsOf = (variant) => ['.js', '.wasm', ...(hasThreads(variant) ? ['-worker.js'] : [])];

/** Returns the output files of a variant's build, relative to the project. */
export const variantFiles = (variant) => [
  ...modules.flatMap((module) =>
    endingsOf(variant).map((ending) => `dist/wasm/${module}-${variant}${ending}`),
  ),
  ...(hasThreads(variant) ? [] : [ceilingOf(variant)]),
];

/** The inputs of a variant's build. */
const variantSources = [
  ...['src', 'bindings/embind', 'bindings/CMakeLists.txt', 'bench/ceiling', 'cmake', 'CMakeLists.txt'],
  ...['CMakePresets.json', 'tools/lib/wasm.mjs', 'tools/lib/loader.mjs'],
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
    writeFileSync(`${target}.wasm`, nameModule(readFileSync(`${built}.wasm`), name));
    writeFileSync(`${target}.js`, await adaptLoader(readFileSync(`${built}.js`, 'utf8'), name));
    if (hasThreads(variant)) writeFileSync(`${target}-worker.js`, await workerScript(name));
  }
}
