// init when workers or files do not come: one thread, with the reason, within its limits. It prints nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { project, runScript } from '../support/child.mjs';

const dist = `file://${project}dist`;

/**
 * What a page has, in Node: fetch of files, and a class Worker that the test defines. Timers are ten times as
 * fast if the test waits for one of the limits.
 */
const page = (worker, fetchFile, isFast) => `
  import { readFile } from 'node:fs/promises';
  const { setTimeout: delay } = globalThis;
  ${isFast ? 'globalThis.setTimeout = (work, milliseconds) => delay(work, milliseconds / 10);' : ''}
  let started = 0;
  let ended = 0;
  globalThis.Worker = class {
    constructor() { ++started; ${worker.constructed ?? ''} }
    postMessage() { ${worker.posted ?? ''} }
    terminate() { ++ended; }
  };
  globalThis.fetch = async (url) => {
    ${fetchFile}
    return new Response(await readFile(new URL(url)), { headers: { 'Content-Type': 'application/wasm' } });
  };`;

/** Runs init of the build for browsers. The process must end by itself and print nothing but the result. */
async function initInPage({ worker = {}, fetchFile = '', options = {}, isFast = false }) {
  const given = JSON.stringify({ threads: 2, simd: 'baseline', device: 'wasm', ...options });
  const { code, output, errors } = await runScript(
    `${page(worker, fetchFile, isFast)}
    const { init, Tensor } = await import('${dist}/index_browser.js');
    const info = await init(${given}).catch(({ code, message }) => ({ code, message }));
    const sum = info.code ? null : Tensor.full([2], 3).data()[1];
    console.log(JSON.stringify({ ...info, sum, started, ended }));`,
    { seconds: 60 },
  );
  assert.equal(code, 0, errors);
  assert.equal(errors, '');
  const lines = output.trim().split('\n');
  assert.equal(lines.length, 1, output);
  return JSON.parse(lines[0]);
}

describe('workers that fail: one thread, and all workers are ended', { concurrency: true }, () => {
  const later = (work) => `delay(() => { ${work} }, 1);`;
  const cases = {
    'never answer': [{}, /did not start within 15 s/],
    'report an error': [
      { constructed: later("this.onerror({ message: 'boom', preventDefault() {} })") },
      /boom/,
    ],
    'cannot be loaded': [{ constructed: later('this.onerror({ preventDefault() {} })') }, /script/],
    'send what cannot be read': [{ constructed: later('this.onmessageerror({})') }, /message/],
    'cannot be constructed': [{ constructed: "throw new Error('forbidden here');" }, /forbidden here/],
    'cannot receive the module': [{ posted: "throw new Error('not cloned');" }, /not cloned/],
  };
  for (const [name, [worker, reason]] of Object.entries(cases)) {
    test(name, async () => {
      const info = await initInPage({ worker, isFast: name === 'never answer' });
      assert.equal(info.threads, 1);
      assert.match(info.threadsReason, reason);
      assert.equal(info.sum, 3);
      assert.ok(info.started > 0);
      assert.equal(info.ended, name === 'cannot be constructed' ? 0 : info.started);
    });
  }
});

describe('a .wasm file that does not come', { concurrency: true }, () => {
  const cases = {
    'is missing': ["if (url.endsWith('.wasm')) return new Response('', { status: 404 });", /404/],
    'is a page': [
      "return new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } });",
      /./,
    ],
    'never arrives': ['await new Promise(() => {});', /did not arrive/],
    'cannot be requested': ["throw new TypeError('no network');", /no network/],
  };
  for (const [name, [fetchFile, reason]] of Object.entries(cases)) {
    for (const threads of [2, 1]) {
      test(`${name}, ${threads} thread(s): the embedded module, with the reason`, async () => {
        const info = await initInPage({ fetchFile, options: { threads }, isFast: name === 'never arrives' });
        assert.equal(info.threads, 1);
        assert.match(info.threadsReason, /embedded/);
        assert.match(info.threadsReason, reason);
        assert.equal(info.sum, 3);
        assert.equal(info.ended, info.started);
      });
    }
  }

  test('with an explicit wasmBaseUrl it is ERR_LOAD that names the option', async () => {
    const fetchFile = "return new Response('', { status: 404 });";
    const info = await initInPage({ fetchFile, options: { wasmBaseUrl: 'file:///elsewhere/' } });
    assert.equal(info.code, 'ERR_LOAD');
    assert.match(info.message, /wasmBaseUrl/);
  });
});
