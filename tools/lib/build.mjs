// Building: the four WebAssembly variants, the package around them, and the native tests.
import { readFileSync, rmSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './commands.mjs';
import { prepareEmscripten } from './emscripten.mjs';
import { prepareNodeModules } from './node_modules.mjs';
import { project } from './paths.mjs';
import { fingerprint, isDone, markDone, unlessDone } from './stamps.mjs';
import { step } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';

/** The WebAssembly modules of every variant: the layer, and the diffusion model made of it. */
const modules = ['cross-attention', 'denoiser'];
export const variants = ['relaxed-threads', 'relaxed', 'baseline-threads', 'baseline'];

async function buildVariant(emscripten, variant, { options = [], target = 'all' } = {}) {
  const preset = `wasm-${variant}`;
  const start = (program, ...args) => run(...emscripten.command(program, args), { cwd: project });
  const include = `-DCROSS_ATTENTION_INCLUDE=${emscripten.include}`;
  const configure = ['cmake', '--preset', preset, include, ...options];
  const key = fingerprint([...emscripten.command('emcmake', configure)], ['CMakePresets.json']);
  await unlessDone(`${preset}-${target}`, key, [`build/${preset}/build.ninja`], () =>
    start('emcmake', ...configure),
  );
  // Ninja itself sees to it that CMake runs again where a CMakeLists.txt has changed.
  await start('ninja', '-C', `build/${preset}`, target);
  if (target === 'all') for (const module of modules) await minifyLoader(`${module}-${variant}`);
}

/** Emscripten shortens its module's spaces, not its names: a fifth of what is downloaded of it. */
async function minifyLoader(name) {
  const loader = path.join(project, `dist/wasm/${name}.js`);
  const stamp = `loader-${name}`;
  const key = () => fingerprint([], [`dist/wasm/${name}.js`]);
  const code = readFileSync(loader, 'utf8');
  if (isDone(stamp, key())) return;
  const { transform } = await import('esbuild');
  const { code: minified } = await transform(code, { minify: true, format: 'esm', target: 'es2022' });
  writeFileSync(loader, minified);
  markDone(stamp, key());
}

async function buildPackage() {
  const { build } = await import('esbuild');
  await build({
    entryPoints: {
      index: path.join(project, 'bindings/package/index.ts'),
      onnx: path.join(project, 'bindings/package/onnx.ts'),
      denoiser: path.join(project, 'bindings/package/denoiser.ts'),
      // Loaded by init where there may be a graphics card.
      webgpu: path.join(project, 'bindings/webgpu/index.ts'),
      // Loaded by Trainer.onWebGPU.
      denoiser_webgpu: path.join(project, 'bindings/webgpu/denoiser/index.ts'),
    },
    outdir: path.join(project, 'dist'),
    bundle: true,
    // What several entries have: its classes must be the same ones.
    splitting: true,
    chunkNames: 'package-[hash]',
    minify: true,
    sourcemap: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2022',
    // The modules that Emscripten writes, and ours for WebGPU: loaded when init has chosen one.
    external: ['./wasm/*', './webgpu.js', './denoiser_webgpu.js', 'node:*'],
  });
  await run('node_modules/.bin/tsc', ['-p', 'bindings/package/tsconfig.json'], { cwd: project });
  // What is bundled asks for its licence to be passed on.
  const licences = ['idb-keyval', 'pbf', 'wasm-feature-detect'].map(
    (name) =>
      `${name}\n\n${readFileSync(path.join(project, `node_modules/${name}/${name === 'idb-keyval' ? 'LICENCE' : 'LICENSE'}`), 'utf8')}`,
  );
  writeFileSync(path.join(project, 'dist/licenses.txt'), licences.join('\n'));
}

function sizes() {
  const folder = path.join(project, 'dist/wasm');
  const wasm = readdirSync(folder).filter((name) => name.endsWith('.wasm'));
  return wasm.map((name) => `${(statSync(path.join(folder, name)).size / 1000).toFixed(0)} KB`).join(', ');
}

/** dist/, the importable package. */
export async function buildDist() {
  await prepareNodeModules();
  const emscripten = await prepareEmscripten();
  for (const variant of variants) {
    await step(`WebAssembly, ${variant}`, () => buildVariant(emscripten, variant));
  }
  await step('package in dist/', async () => {
    const key = fingerprint(
      [],
      ['bindings/package', 'bindings/webgpu', 'package.json', 'tools/lib/build.mjs'],
    );
    await unlessDone(
      'package',
      key,
      [
        ...['index', 'onnx', 'denoiser', 'webgpu', 'denoiser_webgpu'].map((name) => `dist/${name}.js`),
        'dist/index.d.ts',
      ],
      async () => {
        for (const name of readdirSync(path.join(project, 'dist'))) {
          if (name !== 'wasm') rmSync(path.join(project, 'dist', name), { recursive: true });
        }
        await buildPackage();
      },
    );
    return `(.wasm: ${sizes()})`;
  });
  return emscripten;
}

/** Variants without threads: the microkernel is the same with them. */
export const ceilingVariants = ['relaxed', 'baseline'];
export const ceilingFile = (simd) =>
  path.join(project, `build/wasm-${simd}/bench/ceiling/cross_attention_ceiling.wasm`);

/** The microkernel by itself, in WebAssembly, for npm run bench: ceilingFile(simd). */
export async function buildCeilings(emscripten) {
  await step('the microkernel by itself', async () => {
    for (const variant of ceilingVariants) {
      await buildVariant(emscripten, variant, {
        options: ['-DCROSS_ATTENTION_BUILD_BENCH=ON'],
        target: 'cross_attention_ceiling',
      });
    }
  });
}

/** The native tests of a CMake preset, built. `include`: as prepareEmscripten gives it. */
export async function buildNative(preset, include) {
  await ensureSystemPackages(['compiler', 'cmake', 'ninja', 'googletest']);
  await run('cmake', ['--preset', preset, `-DCROSS_ATTENTION_INCLUDE=${include}`], { cwd: project });
  await run('cmake', ['--build', `build/${preset}`], { cwd: project });
}

/** The program that trains the denoiser, built for this machine; its path. */
export async function buildTrainer(include) {
  await ensureSystemPackages(['compiler', 'cmake', 'ninja']);
  await run('cmake', ['--preset', 'train', `-DCROSS_ATTENTION_INCLUDE=${include}`], { cwd: project });
  await run('cmake', ['--build', 'build/train', '--target', 'train_denoiser'], { cwd: project });
  return path.join(project, 'build/train/tools/train/train_denoiser');
}
