// Bundles bindings/package and bindings/webgpu to the JavaScript and the type declarations of dist/.
import { cpSync, existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeDeclarations } from './declarations.mjs';
import { writeLicenses } from './licenses.mjs';
import { project } from './paths.mjs';
import { wgslPlugin } from './wgsl_plugin.mjs';

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

const entries = {
  index: 'bindings/package/index.ts',
  index_browser: 'bindings/package/index_browser.ts',
  onnx: 'bindings/package/onnx.ts',
  denoiser: 'bindings/package/denoiser.ts',
  denoiser_browser: 'bindings/package/denoiser_browser.ts',
  // Loaded by init in Node, with threads, with its option wasmBinary.
  node: 'bindings/package/platform_node.ts',
  threads: 'bindings/package/threads.ts',
  wasm_binary: 'bindings/package/wasm_binary.ts',
  // Loaded by init if there may be a GPU.
  webgpu: 'bindings/webgpu/index.ts',
  // Loaded by Trainer.onWebGPU.
  denoiser_webgpu: 'bindings/webgpu/denoiser/index.ts',
};

/** The .wasm files that are also in modules of dist/. */
const embedded = {
  embedded_relaxed: 'cross-attention-relaxed',
  embedded_baseline: 'cross-attention-baseline',
  denoiser_embedded_relaxed: 'denoiser-relaxed',
  denoiser_embedded_baseline: 'denoiser-baseline',
};

/** The JavaScript files of the package, without shared chunks and dist/wasm. */
export const packageFiles = [
  ...[...Object.keys(entries), ...Object.keys(embedded)].map((name) => `${name}.js`),
  ...['index', 'onnx', 'denoiser', 'single_file'].map((name) => `${name}.d.ts`),
  'single_file.d.cts',
  'licenses.txt',
  'weights/scenes.safetensors',
].map((name) => `dist/${name}`);

const commonOptions = {
  absWorkingDir: project,
  bundle: true,
  minify: true,
  // With the sources inside, which the package does not contain.
  sourcemap: true,
  platform: 'neutral',
  mainFields: ['module', 'main'],
  target: 'es2022',
};

/** Imports of files of dist/wasm, for the modules that contain them. */
const embedWasm = {
  name: 'embed-wasm',
  setup(build) {
    build.onResolve({ filter: /^\.\/wasm\// }, ({ path: file }) => ({
      path: path.join(project, 'dist', file),
      sideEffects: false,
    }));
  },
};

const disposeSymbol = 'bindings/package/dispose_symbol.ts';

/** Builds a module that contains a .wasm file. */
async function bundleEmbedded(build, name, file) {
  // A build of only some variants leaves out the others.
  const isBuilt = existsSync(path.join(project, 'dist/wasm', `${file}.wasm`));
  const contents = isBuilt
    ? `import { compileEmbedded } from './embedded';
       import dataUrl from './wasm/${file}.wasm';
       export const compile = () => compileEmbedded(dataUrl);`
    : "export const compile = () => Promise.reject(new Error('the variant was not built'));";
  await build({
    ...commonOptions,
    sourcemap: false,
    stdin: { contents, resolveDir: path.join(project, 'bindings/package') },
    outfile: `dist/${name}.js`,
    format: 'esm',
    loader: { '.wasm': 'dataurl' },
    plugins: [embedWasm],
  });
}

/** Builds the entry that contains its .wasm file, as an ES module and as a CommonJS one. */
async function bundleSingleFile(build, define) {
  if (!existsSync(path.join(project, 'dist/wasm/cross-attention-baseline.js'))) return;
  for (const [format, ending] of [
    ['esm', 'js'],
    ['cjs', 'cjs'],
  ]) {
    await build({
      ...commonOptions,
      entryPoints: ['bindings/package/single_file.ts'],
      outfile: `dist/single_file.${ending}`,
      format,
      define,
      inject: [disposeSymbol],
      // It would contain the .wasm file again.
      sourcemap: false,
      // The URL of the .wasm file, which is not used.
      logOverride: { 'empty-import-meta': 'silent' },
      loader: { '.wasm': 'dataurl' },
      plugins: [embedWasm],
    });
  }
}

/** Builds the JavaScript and the type declarations of the package in dist/. */
export async function bundlePackage() {
  for (const name of readdirSync(path.join(project, 'dist'))) {
    if (name !== 'wasm') rmSync(path.join(project, 'dist', name), { recursive: true });
  }
  const { build } = await import('esbuild');
  const define = { packageVersion: JSON.stringify(packageVersion()), 'Symbol.dispose': 'disposeSymbol' };
  const { metafile } = await build({
    ...commonOptions,
    metafile: true,
    entryPoints: entries,
    outdir: 'dist',
    // Entries share chunks, so that a class exists only once.
    splitting: true,
    chunkNames: 'shared-[hash]',
    format: 'esm',
    // Loaded at run time.
    external: [
      ...[
        './wasm/*',
        './node.js',
        './threads.js',
        './wasm_binary.js',
        './webgpu.js',
        './denoiser_webgpu.js',
        'node:*',
      ],
      ...Object.keys(embedded).map((name) => `./${name}.js`),
    ],
    define,
    inject: [disposeSymbol],
    plugins: [wgslPlugin],
  });
  numberChunks(path.join(project, 'dist'));
  for (const [name, file] of Object.entries(embedded)) await bundleEmbedded(build, name, file);
  await bundleSingleFile(build, define);
  await writeDeclarations({ together: ['index', 'onnx', 'denoiser'], alone: 'single_file' });
  writeLicenses(metafile);
  const weights = 'dist/weights/scenes.safetensors';
  cpSync(path.join(project, 'web/model/scenes.safetensors'), path.join(project, weights));
}
