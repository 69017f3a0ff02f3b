// The published package: packed, installed, imported and bundled; and its size.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';
import { build as esbuild, transform } from 'esbuild';
import { build as vite } from 'vite';
import { project, runNode } from '../support/child.mjs';
import { initOptions, variant } from '../support/variant.mjs';

const program = `
  import { init, Tensor, DiffusionCrossAttention } from 'diffusion-cross-attention';
  const info = await init(${JSON.stringify(initOptions)});
  const layer = new DiffusionCrossAttention(8, 8, 2, 4, { seed: 1 });
  const output = await layer.forwardAsync(Tensor.full([3, 8], 1), null);
  console.log(info.simd, info.threads, output.shape.join('×'));`;
const printed = `${initOptions.simd} ${initOptions.threads} 3×8`;

const requiringProgram = `
  const { init, Tensor, DiffusionCrossAttention } = require('diffusion-cross-attention');
  init().then(({ simd, threads }) => {
    const layer = new DiffusionCrossAttention(8, 8, 2, 4, { seed: 1 });
    console.log(simd, threads, layer.forward(Tensor.full([3, 8], 1)).shape.join('×'));
  });`;

const manifest = JSON.parse(await readFile(path.join(project, 'package.json'), 'utf8'));

/** Returns the file that an entry of the package is under conditions, as Node and bundlers choose it. */
function resolveExport(entry, conditions) {
  let target = manifest.exports[entry];
  while (typeof target !== 'string') {
    const isChosen = ([condition]) => condition === 'default' || conditions.includes(condition);
    target = Object.entries(target).find(isChosen)[1];
  }
  return target;
}

async function assertPrints(folder, file) {
  const { code, output, errors } = await runNode([path.join(folder, file)], { folder });
  assert.equal(code, 0, errors);
  assert.equal(output.trim(), printed);
}

describe('packed by npm', () => {
  let folder;
  let packed;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'cross-attention-package-'));
    // --ignore-scripts: prepack would build the package again.
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
    const { stdout } = await promisify(execFile)('npm', args, { cwd: project });
    packed = JSON.parse(stdout)[0];
    const target = path.join(folder, 'node_modules', 'diffusion-cross-attention');
    await mkdir(target, { recursive: true });
    await promisify(execFile)('tar', [
      '-xzf',
      path.join(folder, packed.filename),
      '--strip-components=1',
      '-C',
      target,
    ]);
    await writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(path.join(folder, 'program.mjs'), program);
  });
  after(() => rm(folder, { recursive: true }));

  test('contains the built files and no sources', () => {
    const files = packed.files.map((file) => file.path);
    for (const needed of ['package.json', 'LICENSE', 'dist/index.js', 'dist/index.d.ts']) {
      assert.ok(files.includes(needed), `${needed} is missing in ${files}`);
    }
    for (const name of ['relaxed', 'relaxed-threads', 'baseline', 'baseline-threads']) {
      for (const ending of ['js', 'wasm']) {
        assert.ok(files.includes(`dist/wasm/cross-attention-${name}.${ending}`), name);
      }
    }
    const unexpected = files.filter(
      (file) => !/^(dist\/|docs\/images\/|package\.json|LICENSE|README\.md|CHANGELOG\.md)/.test(file),
    );
    assert.deepEqual(unexpected, []);
  });

  test('has entries for Node, for browsers, and for tools without ES modules', async () => {
    const conditions = {
      '.': ['index.js', 'index_browser.js', 'single_file.cjs'],
      './denoiser': ['denoiser.js', 'denoiser_browser.js', 'denoiser.js'],
      './onnx': ['onnx.js', 'onnx.js', 'onnx.js'],
      './single-file': ['single_file.js', 'single_file.js', 'single_file.cjs'],
    };
    for (const [entry, [inNode, inBrowser, required]] of Object.entries(conditions)) {
      assert.equal(resolveExport(entry, ['node', 'import']), `./dist/${inNode}`);
      for (const used of [['browser', 'import', 'module'], ['browser', 'require', 'module'], ['import']]) {
        if (entry === './single-file' && used.includes('require')) continue;
        assert.equal(resolveExport(entry, used), `./dist/${inBrowser}`, `${entry} with ${used}`);
      }
      assert.equal(resolveExport(entry, ['node', 'require']), `./dist/${required}`);
    }
    // A version of Node in which require can load an ES module has the whole package.
    assert.equal(resolveExport('.', ['node', 'require', 'module-sync']), './dist/index.js');
  });

  test('can be loaded by require, also where that cannot load ES modules', async () => {
    await writeFile(path.join(folder, 'program.cjs'), requiringProgram);
    for (const options of [[], ['--no-experimental-require-module']]) {
      const { code, output, errors } = await runNode([...options, path.join(folder, 'program.cjs')], {
        folder,
      });
      // Node 20 before 20.17 does not know the option.
      if (/bad option/.test(errors)) continue;
      assert.equal(code, 0, errors);
      assert.match(output, /^(relaxed|baseline) \d+ 3×8\n$/);
    }
  });

  test('can be imported from node_modules in Node', () => assertPrints(folder, 'program.mjs'));

  test('has no dependencies and no installation scripts', () => {
    assert.equal(manifest.dependencies, undefined);
    for (const script of ['preinstall', 'install', 'postinstall']) {
      assert.equal(manifest.scripts[script], undefined);
    }
  });

  test('can be bundled by esbuild for Node, with the .wasm files in the folder of the bundle', async () => {
    const target = path.join(folder, 'esbuild');
    await esbuild({
      entryPoints: [path.join(folder, 'program.mjs')],
      outdir: target,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      outExtension: { '.js': '.mjs' },
      logLevel: 'error',
    });
    const wasm = path.join(folder, 'node_modules/diffusion-cross-attention/dist/wasm');
    await cp(wasm, target, { recursive: true });
    await assertPrints(target, 'program.mjs');
  });

  test('can be bundled by Vite for a page: the .wasm files of all variants are emitted', async () => {
    await writeFile(path.join(folder, 'index.html'), '<script type="module" src="./program.mjs"></script>');
    await vite({
      root: folder,
      configFile: false,
      logLevel: 'error',
      build: { target: 'esnext', outDir: 'vite' },
      worker: { format: 'es' },
    });
    const assets = await readdir(path.join(folder, 'vite', 'assets'));
    for (const name of ['relaxed', 'relaxed-threads', 'baseline', 'baseline-threads']) {
      const pattern = new RegExp(`^cross-attention-${name}-[\\w-]{8}\\.wasm$`);
      assert.ok(
        assets.some((asset) => pattern.test(asset)),
        `${name}.wasm is missing in ${assets}`,
      );
    }
  });
});

/** Returns a module of dist/ and all modules that it imports, with `dynamic` also by import(). */
async function withImports(file, dynamic = false, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const code = await readFile(path.join(project, 'dist', file), 'utf8');
  const imports = [...code.matchAll(/\b(?:from|import)"\.\/([\w/-]+\.js)"/g)];
  if (dynamic) imports.push(...code.matchAll(/\bimport\("\.\/([\w/-]+\.js)"\)/g));
  for (const [, imported] of imports) {
    await withImports(path.posix.join(path.dirname(file), imported), dynamic, found);
  }
  return found;
}

describe('the builds for browsers', () => {
  for (const entry of ['.', './onnx', './denoiser', './single-file']) {
    test(`${entry} refers to no module of Node and has no top-level await`, async () => {
      const file = path.posix.relative('./dist', resolveExport(entry, ['browser', 'import']));
      const modules = await withImports(file, true);
      assert.equal(modules.size > 1, entry !== './single-file');
      for (const name of modules) {
        const code = await readFile(path.join(project, 'dist', name), 'utf8');
        assert.doesNotMatch(code, /["'`]node:|\bprocess\b|\brequire\(/, name);
        // Old minifiers, and tools that take workers for classic scripts, cannot parse it.
        await assert.doesNotReject(transform(code, { format: 'cjs' }), `${name} has a top-level await`);
      }
    });
  }

  test('the worker scripts have no top-level await and import only their loader', async () => {
    for (const name of await readdir(path.join(project, 'dist/wasm'))) {
      if (!name.endsWith('-worker.js')) continue;
      const modules = await withImports(`wasm/${name}`, true);
      assert.deepEqual([...modules], [`wasm/${name}`, `wasm/${name.replace('-worker', '')}`]);
    }
  });

  test('the single file has no import, no import() and no worker', async () => {
    const code = await readFile(path.join(project, 'dist/single_file.js'), 'utf8');
    // Not as a word of a message.
    const found = code.match(/\bimport\s*[("'{*]|\bimport\.meta|[;}]import\b|\bnew Worker\b/);
    assert.equal(found, null);
    const [main, single] = await Promise.all(
      ['diffusion-cross-attention', 'diffusion-cross-attention/single-file'].map((name) => import(name)),
    );
    assert.deepEqual(Object.keys(single), Object.keys(main));
  });
});

describe('size', () => {
  const wasm = `wasm/cross-attention-${variant}.wasm`;

  // With threads, the variant contains more of the C library.
  const [maxWasm, maxDownload] = variant.endsWith('threads') ? [309_000, 140_000] : [291_000, 130_000];

  test('the .wasm file has at most 291 KB, with threads 309 KB', async (testContext) => {
    const { size } = await stat(path.join(project, 'dist', wasm));
    testContext.diagnostic(`${wasm}: ${(size / 1000).toFixed(1)} KB`);
    assert.ok(size <= maxWasm, `${size} bytes`);
  });

  test('the Brotli-compressed download has at most 130 KB, with threads 140 KB', async (testContext) => {
    const modules = await withImports('index_browser.js');
    assert.ok(modules.size > 1 && !modules.has('webgpu.js'), 'WebGPU must be loaded on demand');
    const files = [...modules, `wasm/cross-attention-${variant}.js`, wasm];
    if (variant.endsWith('threads')) files.push('threads.js', `wasm/cross-attention-${variant}-worker.js`);
    const sizes = await Promise.all(
      files.map(async (file) => {
        const content = await readFile(path.join(project, 'dist', file));
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
        };
        return brotliCompressSync(content, { params }).length;
      }),
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    testContext.diagnostic(`${variant}: ${(total / 1000).toFixed(1)} KB = ${sizes.join(' + ')} bytes`);
    assert.ok(total <= maxDownload, `${total} bytes`);
  });
});
