// init, RuntimeInfo, memoryInUse, and calls before init.
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { project, runForValue, runNode } from '../support/child.mjs';
import { assertRejects } from '../support/errors.mjs';
import { ArgumentError, init, memoryInUse, runtimeInfo } from '../support/package.mjs';
import { hasRelaxedSimd, initOptions, variant } from '../support/variant.mjs';

const require = createRequire(import.meta.url);
const options = JSON.stringify(initOptions);

describe('RuntimeInfo', { concurrency: true }, () => {
  test(`has the requested values: ${variant}`, () => {
    assert.equal(runtimeInfo.simd, initOptions.simd);
    assert.equal(runtimeInfo.threads, initOptions.threads);
    assert.equal(runtimeInfo.device, 'wasm');
    assert.equal(typeof runtimeInfo.webgpu, 'string');
    assert.ok(runtimeInfo.webgpu.length > 0, 'expected the reason why there is no adapter');
    assert.equal(runtimeInfo.version, require('../../package.json').version);
  });

  test('is read-only', () => {
    assert.throws(() => {
      runtimeInfo.threads = 100;
    }, TypeError);
    assert.equal(runtimeInfo.threads, initOptions.threads);
  });

  test('defaults are one thread per core and the best SIMD', async () => {
    const { info, cores } = await runForValue(`
      import { availableParallelism } from 'node:os';
      import { init } from 'diffusion-cross-attention';
      console.log(JSON.stringify({ info: await init(), cores: availableParallelism() }));`);
    assert.equal(info.simd, hasRelaxedSimd ? 'relaxed' : 'baseline');
    assert.equal(info.threads, Math.min(cores, 64));
    assert.equal(info.device, 'wasm');
  });

  test('one thread without SharedArrayBuffer, with the reason in RuntimeInfo', async () => {
    const info = await runForValue(`
      delete globalThis.SharedArrayBuffer;
      const { init, Tensor } = await import('diffusion-cross-attention');
      const info = await init({ threads: 4 });
      Tensor.zeros([2]).dispose();
      console.log(JSON.stringify(info));`);
    assert.equal(info.threads, 1);
    assert.match(info.threadsReason, /SharedArrayBuffer/);
  });

  for (const device of ['auto', 'wasm', 'webgpu']) {
    test(`device '${device}' is never an error`, async () => {
      const script = `
        import { init } from 'diffusion-cross-attention';
        console.log(JSON.stringify(await init({ ...${options}, device: '${device}' })));`;
      assert.equal((await runForValue(script)).device, 'wasm');
    });
  }
});

describe('init', () => {
  test('works in a program of --eval, whose options Workers would inherit', async () => {
    const source = `
      import { init, Tensor, DiffusionCrossAttention } from 'diffusion-cross-attention';
      await init(${options});
      const layer = new DiffusionCrossAttention(8, 8, 2, 1);
      console.log((await layer.forwardAsync(Tensor.zeros([3, 8]), null)).shape.join());`;
    const { code, output, errors } = await runNode(['--input-type=module', '--eval', source]);
    assert.equal(code, 0, errors);
    assert.equal(output.trim(), '3,8');
  });

  test('repeated calls return the same RuntimeInfo for all options', async () => {
    assert.equal(await init(), runtimeInfo);
    assert.equal(await init({ threads: 1, simd: 'baseline' }), runtimeInfo);
    assert.equal(await init({ threads: 3, simd: 'auto', device: 'wasm' }), runtimeInfo);
  });

  test('concurrent calls load once', async () => {
    const isSame = await runForValue(`
      import { init, memoryInUse } from 'diffusion-cross-attention';
      const infos = await Promise.all([init(${options}), init(), init({ threads: 1 }), init(${options})]);
      console.log(infos.every((info) => info === infos[0]) && memoryInUse() === 0);`);
    assert.equal(isSame, true);
  });

  const wrong = [
    ['threads', 0],
    ['threads', -1],
    ['threads', 1.5],
    ['threads', NaN],
    ['threads', 65],
    ['threads', '2'],
    ['threads', null],
    ['simd', 'sse'],
    ['simd', 1],
    ['simd', null],
    ['device', 'cuda'],
    ['device', {}],
    ['wasmBaseUrl', 5],
    ['wasmBaseUrl', {}],
  ];
  for (const [name, value] of wrong) {
    test(`${name}: ${String(value)} is an ArgumentError, also after a successful init`, () =>
      assertRejects(() => init({ [name]: value }), ArgumentError, name));
  }
  test('options that are not an object are an ArgumentError', () =>
    assertRejects(() => init('threads'), ArgumentError, 'options', 'threads'));

  test('undefined and null mean no options', async () => {
    assert.equal(await init(undefined), runtimeInfo);
    assert.equal(await init(null), runtimeInfo);
  });

  test('works after wrong options and after a failed load', async () => {
    const source = `
      import { CrossAttentionError, init, Tensor } from 'diffusion-cross-attention';
      const failures = [];
      for (const options of [{ threads: 0 }, { wasmBaseUrl: 'file:///there-is-no-such-folder/' }]) {
        await init({ ...${options}, ...options }).catch((error) =>
          failures.push([error instanceof CrossAttentionError, error.message]));
      }
      const info = await init(${options});
      console.log(JSON.stringify({ failures, sum: Tensor.full([3], 2).data()[2], simd: info.simd }));`;
    // The process must also end by itself: no workers of the failed load may remain.
    const value = await runForValue(source);
    assert.equal(value.failures.length, 2);
    for (const [isPackageError, message] of value.failures) {
      assert.ok(isPackageError, `not an error of this package: ${message}`);
    }
    assert.match(value.failures[1][1], /wasmBaseUrl|there-is-no-such-folder/);
    assert.equal(value.sum, 2);
    assert.equal(value.simd, initOptions.simd);
  });

  test('requesting missing relaxed SIMD is an ArgumentError', async (context) => {
    if (hasRelaxedSimd) return context.skip('this Node has relaxed SIMD; an older Node runs this test');
    const value = await runForValue(`
      import { init } from 'diffusion-cross-attention';
      const error = await init({ simd: 'relaxed' }).catch((error) => error);
      console.log(JSON.stringify({ code: error.code, message: error.message }));`);
    assert.equal(value.code, 'ERR_ARGUMENT');
    assert.match(value.message, /simd.*relaxed.*expected/);
  });
});

describe('before init', () => {
  test('calls throw NotInitializedError with the solution', async () => {
    const results = await runForValue(`
      import * as attention from 'diffusion-cross-attention';
      const { Tensor, DiffusionCrossAttention, NotInitializedError } = attention;
      const calls = {
        from: () => Tensor.from([1], [1]),
        zeros: () => Tensor.zeros([1]),
        full: () => Tensor.full([1], 1),
        randn: () => Tensor.randn([1]),
        layer: () => new DiffusionCrossAttention(8, 8),
        memoryInUse: () => attention.memoryInUse(),
        wrongArgumentsToo: () => Tensor.zeros('nonsense'),
      };
      const results = {};
      for (const [name, call] of Object.entries(calls)) {
        try { call(); results[name] = 'no error'; } catch (error) {
          const { code, message } = error;
          results[name] = { code, message, isClass: error instanceof NotInitializedError };
        }
      }
      await attention.init(${options});
      results.afterwards = Tensor.zeros([2]).size;
      console.log(JSON.stringify(results));`);
    const { afterwards, ...failures } = results;
    assert.equal(afterwards, 2);
    assert.equal(Object.keys(failures).length, 7);
    for (const [name, failure] of Object.entries(failures)) {
      assert.equal(failure.code, 'ERR_NOT_INITIALIZED', name);
      assert.equal(failure.isClass, true, name);
      assert.match(failure.message, /init\(\)/, name);
    }
  });
});

describe('the location of the .wasm files', { concurrency: true }, () => {
  /**
   * Returns a script that uses packages one after another. Each has its own modules and thus its own init.
   */
  const use = (packages) => `
    const sums = {};
    for (const [name, { module, wasmBaseUrl }] of Object.entries({ ${packages} })) {
      const { init, Tensor } = await import(module);
      await init({ ...${options}, wasmBaseUrl });
      const tensor = Tensor.full([2, 2], 3);
      sums[name] = tensor.data().join();
      tensor.dispose();
    }
    console.log(JSON.stringify(sums));`;
  const ownPackage = "module: 'diffusion-cross-attention'";

  for (const name of [
    'dist with spaces',
    'dist#fragment',
    'dist%20percent',
    'dist?question',
    'dïst·ünïcode',
  ]) {
    describe(`a folder named ${name}`, () => {
      let sums;
      before(() =>
        inCopies([name, 'another'], async (folder, another) => {
          const moduleIn = (each) => `module: ${JSON.stringify(urlOf(each, 'index.js'))}`;
          const wasm = urlOf(folder, 'wasm');
          const script = use(`
            next: { ${moduleIn(folder)} },
            string: { ${ownPackage}, wasmBaseUrl: ${JSON.stringify(wasm)} },
            url: { ${moduleIn(another)}, wasmBaseUrl: new URL(${JSON.stringify(`${wasm}/`)}) }`);
          sums = await runForValue(script);
        }),
      );
      test('next to the module', () => assert.equal(sums.next, '3,3,3,3'));
      test('wasmBaseUrl as a string', () => assert.equal(sums.string, '3,3,3,3'));
      test('wasmBaseUrl as a URL', () => assert.equal(sums.url, '3,3,3,3'));
    });
  }

  test('wasmBaseUrl as a path of the file system', () =>
    inCopies(['dist'], async (folder) => {
      const wasmBaseUrl = JSON.stringify(path.join(folder, 'wasm'));
      const sums = await runForValue(use(`path: { ${ownPackage}, wasmBaseUrl: ${wasmBaseUrl} }`));
      assert.equal(sums.path, '3,3,3,3');
    }));

  const urlOf = (...parts) => pathToFileURL(path.join(...parts)).href;

  /** Selects the package's modules and the tested variant among the files of dist. */
  const filter = (file) =>
    !/\.(map|d\.ts)$/.test(file) &&
    (path.basename(path.dirname(file)) !== 'wasm' || path.parse(file).name === `cross-attention-${variant}`);

  /** Calls work(...folders) with copies of dist in folders of these names. */
  async function inCopies(names, work) {
    const parent = await mkdtemp(path.join(os.tmpdir(), 'cross-attention-'));
    try {
      const folders = names.map((name) => path.join(parent, name));
      for (const folder of folders) {
        await cp(path.join(project, 'dist'), folder, { recursive: true, filter });
      }
      // The package.json of a parent folder determines the module type.
      await cp(path.join(project, 'package.json'), path.join(parent, 'package.json'));
      await work(...folders);
    } finally {
      await rm(parent, { recursive: true });
    }
  }
});

test('memoryInUse is 0 without tensors and layers', () => assert.equal(memoryInUse(), 0));
