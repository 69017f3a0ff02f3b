// Saves the painting as a safetensors file and loads it. Invalid files are rejected and change nothing.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { openSite } from '../../support/browser/paint_page.mjs';
import { parseSafetensors } from '../support/safetensors.mjs';

/** Features of the page's model and elements of its context vectors. */
const width = 64;
const layerShapes = {
  'to_q.weight': [width, width],
  'to_k.weight': [width, width],
  'to_v.weight': [width, width],
  'to_out.0.weight': [width, width],
  'to_out.0.bias': [width],
};

describe('weights', () => {
  let site;
  let visit;
  /** The state of the page when the file was saved. */
  let saved;
  let file;
  before(async () => {
    site = await openSite();
    visit = await site.visit();
  });
  after(() => site.close());

  test('“Save weights” downloads a valid safetensors file', async () => {
    await visit.waitForReading('psnr', 20);
    await visit.pause();
    saved = await stateOf(visit);
    const [download] = await Promise.all([
      visit.page.waitForEvent('download'),
      visit.button('Save weights').click(),
    ]);
    assert.equal(download.suggestedFilename(), 'sample-picture.safetensors');
    file = await readFile(await download.path());

    const { tensors, metadata } = parseSafetensors(file);
    for (const [name, shape] of Object.entries(layerShapes)) {
      assert.deepEqual(tensors.get(name)?.shape, shape, name);
      assert.ok(tensors.get(name).values.every(Number.isFinite), name);
    }
    const others = [...tensors.keys()].filter((name) => !(name in layerShapes));
    assert.deepEqual(others.sort(), ['context', 'frequencies', 'picture']);
    assert.deepEqual(tensors.get('context').shape, [32, width]);
    assert.deepEqual(tensors.get('picture').shape, [64, 64, 4]);
    assert.deepEqual(Uint8Array.from(tensors.get('picture').values), (await visit.pixels('target')).bytes);
    assert.equal(Number(metadata.step), saved.step);
  });

  test('loaded in another page, the painting has the same bits', async () => {
    const other = await site.visit();
    await other.waitForReading('steps', 1);
    await load(other, 'again.safetensors', file);
    await other.waitForStatus('paused');
    await other.waitForReading('steps', saved.step);
    assert.deepEqual(await stateOf(other), saved);
    await other.button('Resume').click();
    await other.waitForReading('steps', saved.step + 1);
    await other.leave();
  });

  test('loaded without isolation, on one thread, the painting has the same bits', async () => {
    const plainSite = await openSite({ isolated: false });
    try {
      const other = await plainSite.visit();
      await other.waitForReading('steps', 1);
      await load(other, 'again.safetensors', file);
      await other.waitForStatus('paused');
      await other.waitForReading('steps', saved.step);
      assert.deepEqual(await stateOf(other), saved);
      await other.leave();
    } finally {
      await plainSite.close();
    }
  });

  test('a weights file can be dropped on the page', async () => {
    await visit.button('Resume').click();
    await visit.waitForReading('steps', saved.step + 1);
    await visit.drop('dropped.safetensors', file);
    await visit.waitForStatus('paused');
    assert.deepEqual(await stateOf(visit), saved);
  });

  const corruptions = {
    'an empty file': () => Buffer.alloc(0),
    'a file that ends in its header': () => file.subarray(0, 100),
    'a file that ends in its data': () => file.subarray(0, file.length - 1),
    'a header length beyond the file': () => changed((copy) => copy.writeBigUInt64LE(2n ** 63n, 0)),
    'a header that is not JSON': () => changed((copy) => copy.write('?', 8)),
    'a tensor beyond the file': () => edited((header) => (header['to_k.weight'].data_offsets[1] += 2 ** 40)),
    'a tensor with a wrong shape': () => edited((header) => (header['to_k.weight'].shape = [width * width])),
    'a missing tensor': () => edited((header) => delete header['to_v.weight']),
    'a file of another program': () => edited((header) => (header.__metadata__ = { format: 'pt' })),
    'a weight that is NaN': () => changed((copy) => copy.writeFloatLE(Number.NaN, offsetOf('to_v.weight'))),
    'a context that is infinite': () => changed((copy) => copy.writeFloatLE(Infinity, offsetOf('context'))),
    'a text file': () => Buffer.from('not weights, but a letter to a friend'),
  };
  for (const [corruption, makeBytes] of Object.entries(corruptions)) {
    test(`${corruption} is rejected, and the painting is unchanged`, async () => {
      await load(visit, 'broken.safetensors', makeBytes());
      await visit.page.locator('#notice').waitFor();
      assert.match(
        await visit.notice(),
        /“broken\.safetensors” is not a painting saved on this page: .{10,}\./,
      );
      assert.deepEqual(await stateOf(visit), saved);
      await visit.button('Dismiss this message').click();
      assert.equal(await visit.notice(), '');
    });
  }

  test('an invalid file does not stop the training', async () => {
    await visit.button('Resume').click();
    await visit.waitForStatus('training');
    await load(visit, 'broken.safetensors', file.subarray(0, 100));
    await visit.page.locator('#notice').waitFor();
    const step = await visit.reading('steps');
    await visit.waitForReading('steps', step + 1);
  });

  test('the page reported no problems', () => visit.leave());

  async function load(target, name, buffer) {
    const [chooser] = await Promise.all([
      target.page.waitForEvent('filechooser'),
      target.button('Load weights…').click(),
    ]);
    await chooser.setFiles({ name, mimeType: 'application/octet-stream', buffer });
  }

  /** Returns the state of a page with a paused painting. */
  async function stateOf(source) {
    const menus = ['Pixels', 'Vectors', 'Heads'].map((name) => source.menu(name).inputValue());
    return {
      step: await source.reading('steps'),
      psnr: await source.reading('psnr'),
      configuration: await Promise.all(menus),
      target: await source.pixels('target'),
      painting: await source.pixels('painting'),
    };
  }

  /** Returns the offset of a tensor in the file. */
  function offsetOf(name) {
    const { headerBytes, tensors } = parseSafetensors(file);
    return 8 + headerBytes + tensors.get(name).offsets[0];
  }

  function changed(change) {
    const copy = Buffer.from(file);
    change(copy);
    return copy;
  }

  function edited(edit) {
    const start = 8 + Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.toString('utf8', 8, start));
    edit(header);
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    return Buffer.concat([length, json, file.subarray(start)]);
  }
});
