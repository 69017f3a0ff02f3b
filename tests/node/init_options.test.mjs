// The options of init that say where the WebAssembly module comes from: wasmBaseUrl, wasmBinary, workerUrl.
// Each init runs in a process of its own.
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { serve } from '../../support/browser/server.mjs';
import { project, runForValue } from '../support/child.mjs';

const wasm = path.join(project, 'dist/wasm');
const folderUrl = `${pathToFileURL(wasm).href}/`;

/**
 * Runs init with each of the expressions in sequence, until one succeeds. Returns for each {code, message},
 * or what init returns and the sum of a tensor.
 */
const initWith = (expressions, entry = 'index') =>
  runForValue(`import { readFileSync } from 'node:fs';
    import { init, Tensor } from '${pathToFileURL(project).href}dist/${entry}.js';
    const wasm = ${JSON.stringify(wasm)};
    const bytes = (name) => readFileSync(wasm + '/' + name + '.wasm');
    const results = [];
    for (const options of [${expressions.map((each) => `() => (${each})`).join()}]) {
      try {
        const { simd, threads, threadsReason } = await init({ device: 'wasm', ...options() });
        const tensor = Tensor.full([2], 3);
        results.push({ simd, threads, threadsReason, sum: tensor.data()[0] + tensor.data()[1] });
      } catch ({ code, message }) {
        results.push({ code, message });
      }
    }
    console.log(JSON.stringify(results));`);

describe('wasmBinary', { concurrency: 2 }, () => {
  const kinds = {
    'an ArrayBuffer': "new Uint8Array(bytes('cross-attention-baseline-threads')).buffer",
    'a view in the middle of a buffer':
      "new Uint8Array([0, 0, 0, ...bytes('cross-attention-baseline-threads'), 0]).subarray(3, -1)",
    'a SharedArrayBuffer':
      '((file) => { const shared = new Uint8Array(new SharedArrayBuffer(file.length)); shared.set(file); ' +
      "return shared; })(bytes('cross-attention-baseline-threads'))",
    'a WebAssembly.Module': "new WebAssembly.Module(bytes('cross-attention-baseline-threads'))",
  };
  for (const [name, expression] of Object.entries(kinds)) {
    test(`${name}: the variant of the file, with threads`, async () => {
      // A wrong folder: nothing is read from it.
      const [info] = await initWith([
        `{ threads: 2, wasmBinary: ${expression}, wasmBaseUrl: 'file:///there-is-nothing/' }`,
      ]);
      assert.deepEqual(info, { simd: 'baseline', threads: 2, threadsReason: 'requested', sum: 6 });
    });
  }

  test('of a variant without threads: one thread, with the reason', async () => {
    const [info] = await initWith(["{ threads: 4, wasmBinary: bytes('cross-attention-baseline') }"]);
    assert.equal(info.threads, 1);
    assert.match(info.threadsReason, /wasmBinary/);
    assert.equal(info.sum, 6);
  });

  const wrong = {
    'no bytes': ['{ wasmBinary: new Uint8Array(0) }', /wasmBinary/],
    'other bytes': [
      '{ wasmBinary: new Uint8Array(1000).fill(7) }',
      /wasmBinary is .*; expected a file cross-attention/,
    ],
    'half of the file': [
      "{ wasmBinary: bytes('cross-attention-baseline').subarray(0, 50000) }",
      /wasmBinary is .*; expected a file cross-attention/,
    ],
    'another module': [
      '{ wasmBinary: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) }',
      /wasmBinary is .*; expected a file cross-attention/,
    ],
    "another entry's module": [
      "{ wasmBinary: bytes('denoiser-baseline') }",
      /wasmBinary is .*denoiser-baseline.*; expected a file cross-attention/,
    ],
    'a variant of other SIMD than `simd`': [
      "{ wasmBinary: bytes('cross-attention-baseline'), simd: 'relaxed' }",
      /simd is "relaxed"; expected 'auto' or 'baseline'/,
    ],
    'a variant with threads for one thread': [
      "{ wasmBinary: bytes('cross-attention-baseline-threads'), threads: 1 }",
      /wasmBinary is .*a variant with threads/,
    ],
    'a text': ["{ wasmBinary: 'cross-attention-baseline.wasm' }", /wasmBinary/],
  };
  test('a wrong file is an ArgumentError that says what it is, and init can be repeated', async () => {
    const results = await initWith([
      ...Object.values(wrong).map(([expression]) => expression),
      '{ threads: 1 }',
    ]);
    Object.entries(wrong).forEach(([name, [, message]], index) => {
      assert.equal(results[index].code, 'ERR_ARGUMENT', `${name}: ${results[index].message}`);
      assert.match(results[index].message, message, name);
    });
    assert.equal(results.at(-1).sum, 6);
  });

  test('in the single-file entry: its own or another variant without threads', async () => {
    const results = await initWith(
      [
        "{ wasmBinary: bytes('cross-attention-baseline-threads') }",
        "{ wasmBinary: bytes('denoiser-baseline') }",
        "{ wasmBinary: bytes('cross-attention-baseline') }",
      ],
      'single_file',
    );
    assert.deepEqual(
      results.map(({ code, threads }) => code ?? threads),
      ['ERR_ARGUMENT', 'ERR_ARGUMENT', 1],
    );
  });
});

describe('wasmBaseUrl over HTTP', () => {
  let server;
  before(async () => (server = await serve(wasm)));
  after(() => server.close());

  for (const threads of [1, 2]) {
    test(`the files of a server, ${threads} thread(s)`, async () => {
      const [info] = await initWith([
        `{ threads: ${threads}, simd: 'baseline', wasmBaseUrl: '${server.origin}' }`,
      ]);
      assert.deepEqual(info, { simd: 'baseline', threads, threadsReason: 'requested', sum: 6 });
    });
  }

  test('a wrong folder, a silent server: ERR_LOAD that names it, and init can be repeated', async () => {
    const [wrong, unreachable, info] = await initWith([
      `{ wasmBaseUrl: '${server.origin}/there-is-nothing' }`,
      "{ wasmBaseUrl: 'http://127.0.0.1:9/' }",
      '{ threads: 1 }',
    ]);
    assert.equal(wrong.code, 'ERR_LOAD');
    assert.match(wrong.message, /404.*; wasmBaseUrl is "http.*there-is-nothing\/"/);
    assert.equal(unreachable.code, 'ERR_LOAD');
    assert.match(unreachable.message, /wasmBaseUrl is "http:\/\/127/);
    assert.equal(info.sum, 6);
  });
});

describe('workerUrl', { concurrency: 2 }, () => {
  let folder;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'cross-attention-workers-'));
    await cp(wasm, folder, { recursive: true });
    const { build } = await import('esbuild');
    await build({
      entryPoints: [path.join(folder, 'cross-attention-baseline-threads-worker.js')],
      bundle: true,
      format: 'esm',
      outfile: path.join(folder, 'bundle.mjs'),
    });
  });
  after(() => rm(folder, { recursive: true }));

  const cases = {
    'the folder, as a URL': () => `${pathToFileURL(folder).href}/`,
    'the script': () => path.join(folder, 'cross-attention-baseline-threads-worker.js'),
    'a bundle of the script': () => path.join(folder, 'bundle.mjs'),
  };
  for (const [name, urlOf] of Object.entries(cases)) {
    test(`${name}: starts the threads`, async () => {
      const [info] = await initWith([
        `{ threads: 2, simd: 'baseline', workerUrl: ${JSON.stringify(urlOf())} }`,
      ]);
      assert.deepEqual(info, { simd: 'baseline', threads: 2, threadsReason: 'requested', sum: 6 });
    });
  }

  const wrong = {
    'no script': () => ['/there-is-nothing/', /there-is-nothing/],
    'another script': () => ['data:text/javascript,export const value = 1', /./],
    'the script of another module': () => [`${folderUrl}denoiser-baseline-threads-worker.js`, /./],
  };
  for (const [name, of] of Object.entries(wrong)) {
    test(`${name}: one thread, with the reason`, async () => {
      const start = performance.now();
      const [url, reason] = of();
      const [info] = await initWith([`{ threads: 2, simd: 'baseline', workerUrl: ${JSON.stringify(url)} }`]);
      // A limit of init is 15 s: its timer must not keep Node alive.
      assert.ok(performance.now() - start < 14_000, `${performance.now() - start} ms`);
      assert.equal(info.threads, 1);
      assert.match(info.threadsReason, /the threads could not be started/);
      assert.match(info.threadsReason, reason);
      assert.equal(info.sum, 6);
    });
  }
});
