// All attention layers of a U-Net from one large file: time, memory and bytes do not depend on the rest.
// npm test uses a file with a 16th of the channels, npm run test:full one of Stable Diffusion 1.5's size.
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { serve } from '../support/file_server.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { DiffusionCrossAttention, memoryInUse, Tensor, WeightFile } from '../support/package.mjs';
import { unetLayers, writeUnetFile } from '../support/unet_file.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'weight-file-large-'));
const file = path.join(folder, 'unet.safetensors');
const layers = unetLayers(isFullRun ? 1 : 16);
// float16, as the file of Stable Diffusion 1.5 has 1.72 GB.
const fileBytes = isFullRun ? 1.72e9 : 2e8;
const { tensorBytes, headerBytes } = writeUnetFile(file, fileBytes, layers);
after(() => rmSync(folder, { recursive: true }));

function wasmBytes() {
  const tensor = Tensor.zeros([1]);
  const { byteLength } = tensor.view().buffer;
  tensor.dispose();
  return byteLength;
}

async function loadAll(source) {
  const made = layers.map(
    ({ channels, context }) => new DiffusionCrossAttention(channels, context, 4, 8, { seed: 1 }),
  );
  const inUse = memoryInUse();
  const wasm = wasmBytes();
  const begin = performance.now();
  const open = await WeightFile.open(source);
  for (const [index, layer] of made.entries()) {
    await layer.loadWeightsFrom(open, { prefix: layers[index].prefix });
  }
  const seconds = (performance.now() - begin) / 1000;
  const grown = wasmBytes() - wasm;
  assert.equal(memoryInUse(), inUse, 'loading leaves memory in use');
  made.forEach((layer, index) => {
    layer.getParameterNames().forEach((name, parameter) => {
      const tensor = layer.getParameter(name);
      assert.deepEqual([...tensor.view().subarray(0, 2)], [1 + (5 * index + parameter) / 1024, 0], name);
      tensor.dispose();
    });
    layer.dispose();
  });
  assert.equal(memoryInUse(), 0);
  return { seconds, grown };
}

test('from a file', async () => {
  const { seconds, grown } = await loadAll(file);
  console.log(
    `${(fileBytes / 1e9).toFixed(2)} GB, ${layers.length} layers: ${seconds.toFixed(2)} s, ${grown} bytes`,
  );
  // One part of a tensor at a time. The memory grows in steps.
  assert.ok(grown <= 2 * tensorBytes * 0.1, `WASM memory grew by ${grown}`);
  assert.ok(seconds < 20, `${seconds} s`);
});

test('over HTTP: at most 1 % more bytes than the tensors have', async () => {
  const handle = openSync(file);
  const size =
    headerBytes + tensorBytes + 2 * layers.length * Math.floor((fileBytes - tensorBytes) / layers.length / 2);
  const server = await serve((_, response, { range }) => {
    const bytes = Buffer.alloc(range.end - range.begin);
    readSync(handle, bytes, 0, bytes.length, range.begin);
    response.writeHead(206, { 'content-range': `bytes ${range.begin}-${range.end - 1}/${size}` });
    response.finish(bytes);
  });
  const { seconds } = await loadAll(server.url);
  await server.close();
  console.log(`over HTTP: ${seconds.toFixed(2)} s, ${server.sent} bytes for ${tensorBytes}`);
  assert.ok(server.sent - headerBytes <= 1.01 * tensorBytes, `${server.sent} bytes for ${tensorBytes}`);
  if (isFullRun) assert.ok(server.sent <= 1.01 * tensorBytes, `${server.sent} bytes with the header`);
  // The length of the header, the header, and one request for each layer.
  assert.equal(server.requests.length, 2 + layers.length);
});
