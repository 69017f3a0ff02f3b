// init that fails: the error is the package's, nothing is printed, a later call with correct options
// succeeds, and the process ends by itself.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { project, runScript } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

const root = mkdtempSync(path.join(os.tmpdir(), 'failed-init-'));
after(() => rmSync(root, { recursive: true }));

let folders = 0;
/** Returns the URL of a copy of dist/wasm in which `change(file)` has changed each .wasm file. */
function changedFiles(change) {
  const folder = path.join(root, String(++folders));
  cpSync(path.join(project, 'dist/wasm'), folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name.endsWith('.wasm')) change(path.join(folder, name));
  return pathToFileURL(`${folder}/`).href;
}

/** The file of the same variant of the other entry's module. */
const otherFile = (file) => {
  const name = path.basename(file);
  const other = name.startsWith('denoiser')
    ? name.replace('denoiser', 'cross-attention')
    : name.replace('cross-attention', 'denoiser');
  return readFileSync(path.join(project, 'dist/wasm', other));
};
const emptyModule = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

/** Options of init with which it fails. */
const failures = {
  'no files': { wasmBaseUrl: pathToFileURL(path.join(root, 'missing/')).href },
  'no .wasm files': { wasmBaseUrl: changedFiles((file) => rmSync(file)) },
  'empty files': { wasmBaseUrl: changedFiles((file) => truncateSync(file)) },
  'truncated files': { wasmBaseUrl: changedFiles((file) => truncateSync(file, 1000)) },
  'a page instead of the files': {
    wasmBaseUrl: changedFiles((file) => writeFileSync(file, '<!doctype html>')),
  },
  'empty modules': { wasmBaseUrl: changedFiles((file) => writeFileSync(file, emptyModule)) },
  'modules of another entry': { wasmBaseUrl: changedFiles((file) => writeFileSync(file, otherFile(file))) },
  'no memory': {},
};

/** Makes WebAssembly fail as it does without memory. */
const withoutMemory = `
const { Memory, instantiate, Instance } = WebAssembly;
restore = () => Object.assign(WebAssembly, { Memory, instantiate, Instance });
const fail = () => { throw new RangeError('could not allocate memory'); };
WebAssembly.Memory = class { constructor() { fail(); } };
WebAssembly.instantiate = async () => fail();
WebAssembly.Instance = class { constructor() { fail(); } };`;

for (const entry of ['', '/denoiser']) {
  describe(`diffusion-cross-attention${entry}`, () => {
    const options = { ...initOptions, ...(entry === '' && { device: 'wasm' }) };
    const child = runScript(
      `
import { CrossAttentionError, init } from 'diffusion-cross-attention${entry}';
const results = {};
for (const [name, change] of Object.entries(${JSON.stringify(failures)})) {
  let restore = () => {};
  if (name === 'no memory') {
    ${withoutMemory}
  }
  const failed = await init({ ...${JSON.stringify(options)}, ...change }).catch((error) => error);
  restore();
  const { code, message } = failed;
  results[name] = { isError: failed instanceof CrossAttentionError, code, message };
}
const { threads } = await init(${JSON.stringify(options)});
console.log(JSON.stringify({ results, threads }));`,
      { seconds: 120 },
    );

    for (const name of Object.keys(failures)) {
      test(name, async () => {
        const { output } = await child;
        const failed = JSON.parse(output).results[name];
        assert.ok(failed.isError, JSON.stringify(failed));
        assert.equal(failed.code, 'ERR_LOAD');
        assert.ok(failed.message.length < 500, failed.message);
      });
    }

    test('prints nothing, and a later call succeeds', async () => {
      const { code, output, errors } = await child;
      assert.equal(errors, '', 'printed on stderr');
      assert.equal(code, 0, 'the process ended');
      assert.equal(output.trim().split('\n').length, 1, `printed ${output}`);
      assert.equal(JSON.parse(output).threads, initOptions.threads);
    });
  });
}
