// WeightFile: sources, shards, reads, aborting and closing. weight_file_http.test.mjs has the servers.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import * as attention from '../support/package.mjs';
import { assembleFile, writeSafetensors } from '../support/safetensors.mjs';
import { fileTensors, makeLayer, names } from '../support/small_layer.mjs';

const { AbortedError, ArgumentError, DisposedError, memoryInUse, WeightFile, WeightsError } = attention;

const folder = mkdtempSync(path.join(tmpdir(), 'weight-file-'));
after(() => rmSync(folder, { recursive: true }));
afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const save = (name, bytes) => {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
};

const other = { 'conv.weight': { dtype: 'F32', shape: [2, 2], values: [1, 2, 3, 4] } };
const layerFile = writeSafetensors({ ...fileTensors({}, 'a.'), ...other }, { format: 'pt' });
const layerPath = save('layer.safetensors', layerFile);

const load = async (source, options) =>
  scoped(async (own) => {
    const layer = makeLayer(own);
    const file = await WeightFile.open(source);
    const result = await layer.loadWeightsFrom(file, { prefix: 'a.', ...options });
    assert.deepEqual(result.loadedParameters, names);
    const expected = makeLayer(own);
    expected.loadWeights(layerFile, { prefix: 'a.' });
    assertSameBits(layer.getParameters(), expected.getParameters(), 'parameters');
    file.close();
    return result;
  });

describe('sources', () => {
  const buffer = layerFile.slice().buffer;
  const shared = new Uint8Array(new SharedArrayBuffer(layerFile.length));
  shared.set(layerFile);
  const sources = {
    'a path': layerPath,
    'a relative path': path.relative(process.cwd(), layerPath),
    'a file URL': pathToFileURL(layerPath),
    'a file URL as a string': pathToFileURL(layerPath).href,
    'a Uint8Array': layerFile,
    'an ArrayBuffer': buffer,
    'a SharedArrayBuffer': shared.buffer,
    'a DataView': new DataView(buffer),
    'an ArrayBuffer of another realm': vm.runInNewContext('(bytes) => Uint8Array.from(bytes).buffer')(
      layerFile,
    ),
    'a Blob': new Blob([layerFile]),
    'a File': new (globalThis.File ?? Blob)([layerFile], 'x.safetensors'),
    'a data URL': `data:application/octet-stream;base64,${Buffer.from(layerFile).toString('base64')}`,
    'one shard': [layerFile],
  };
  for (const [name, source] of Object.entries(sources)) {
    test(name, async () => {
      const result = await load(source);
      assert.deepEqual([result.loadedCount, result.skippedCount], [5, 1]);
    });
  }

  test('shards of mixed kinds', () => {
    const parts = Object.entries(fileTensors({}, 'a.')).map((entry) =>
      writeSafetensors(Object.fromEntries([entry])),
    );
    return load([
      parts[0],
      new Blob([parts[1]]),
      save('shard.safetensors', parts[2]),
      pathToFileURL(save('shard 3.safetensors', parts[3])),
      parts[4].slice().buffer,
    ]);
  });

  test('loadWeights takes shards of bytes and all kinds of views', () =>
    scoped((own) => {
      const layer = makeLayer(own);
      const entries = Object.entries(fileTensors());
      const shards = [entries.slice(0, 2), entries.slice(2)].map((part) =>
        writeSafetensors(Object.fromEntries(part)),
      );
      const sources = [
        shards,
        shards.map((shard) => shard.slice().buffer),
        layer.saveWeights().buffer,
        new DataView(layer.saveWeights().buffer),
        sharedCopy(layer.saveWeights()),
      ];
      for (const source of sources) assert.equal(layer.loadWeights(source).loadedCount, 5);
      const message = assertThrows(() => layer.loadWeights([shards[0], shards[0]]), WeightsError).message;
      assert.match(message, /shards 0 and 1 .*to_q\.weight/);
    }));

  test('an index of shards by path and by file URL', async () => {
    const entries = Object.entries(fileTensors({}, 'a.'));
    save('model-1.safetensors', writeSafetensors(Object.fromEntries(entries.slice(0, 3)), { format: 'pt' }));
    save('model-2.safetensors', writeSafetensors(Object.fromEntries(entries.slice(3))));
    const map = Object.fromEntries(entries.map(([name], i) => [name, `model-${i < 3 ? 1 : 2}.safetensors`]));
    const index = save('model.safetensors.index.json', JSON.stringify({ weight_map: map }));
    await load(index);
    await load(pathToFileURL(index));
  });

  const indexes = {
    'not JSON': '{',
    'no map': '{}',
    'an empty map': '{"weight_map":{}}',
    'a list': '{"weight_map":["a"]}',
    'a path upwards': '{"weight_map":{"a":"../layer.safetensors"}}',
    'an absolute path': '{"weight_map":{"a":"/etc/passwd"}}',
    'another origin': '{"weight_map":{"a":"https://example.com/a"}}',
    'a number': '{"weight_map":{"a":1}}',
    'a missing shard': '{"weight_map":{"a":"none.safetensors"}}',
    'a shard without the tensor': '{"weight_map":{"missing":"layer.safetensors"}}',
  };
  for (const [name, text] of Object.entries(indexes)) {
    test(`an index with ${name} is a WeightsError`, () =>
      assertRejects(() => WeightFile.open(save('bad.index.json', text)), WeightsError));
  }

  test('wrong sources and options are an ArgumentError', async () => {
    for (const source of [
      undefined,
      null,
      5,
      {},
      [],
      '',
      [5],
      [[layerFile]],
      new Map(),
      Symbol('x'),
      () => {},
    ]) {
      await assertRejects(() => WeightFile.open(source), ArgumentError, 'source');
    }
    const hostile = new Proxy({}, { get: () => assert.fail('trap') });
    await assertRejects(() => WeightFile.open(hostile), ArgumentError, 'source');
    for (const [name, values] of Object.entries({
      signal: [5, {}, 'abort'],
      fetch: [5, {}],
      timeout: [0, -1, 1.5, NaN, '5'],
    })) {
      for (const value of values) {
        await assertRejects(() => WeightFile.open(layerFile, { [name]: value }), ArgumentError, name);
      }
    }
    await assertRejects(() => WeightFile.open(layerFile, 5), ArgumentError, 'options');
    assertThrows(() => new WeightFile(), ArgumentError, 'WeightFile.open');
    scoped((own) =>
      assertThrows(() => makeLayer(own).loadWeights(new Blob([])), ArgumentError, 'WeightFile.open'),
    );
  });

  test('a missing file, a folder and another kind of file are a WeightsError with the name', async () => {
    await assertRejects(() => WeightFile.open(path.join(folder, 'none')), WeightsError, 'none', 'ENOENT');
    await assertRejects(() => WeightFile.open(folder), WeightsError, folder);
    const html = save('page.safetensors', '<!doctype html><title>404</title>');
    await assertRejects(
      () => WeightFile.open(html),
      WeightsError,
      'page.safetensors',
      'not a safetensors file',
    );
    await assertRejects(() => WeightFile.open(save('empty', '')), WeightsError, 'empty', '0 bytes');
    await assertRejects(() => WeightFile.open(layerFile.subarray(0, 20)), WeightsError);
    await assertRejects(() => WeightFile.open(layerFile.subarray(0, layerFile.length - 1)), WeightsError);
  });

  test('a file that changes after it was opened is a WeightsError', async () => {
    const name = save('changing.safetensors', layerFile);
    const file = await WeightFile.open(name);
    truncateSync(name, layerFile.length - 1);
    await assertRejects(() => file.read('conv.weight'), WeightsError, 'changing.safetensors', 'changed');
  });
});

function sharedCopy(bytes) {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy.buffer;
}

describe('read', () => {
  const file = (dtype, shape, bytes) =>
    assembleFile({ a: { dtype, shape, data_offsets: [0, bytes.length] } }, new Uint8Array(bytes));
  const read = async (bytes) =>
    scoped(async (own) => {
      const tensor = own(await (await WeightFile.open(bytes)).read('a'));
      return { dtype: tensor.dtype, shape: tensor.shape, values: [...tensor.data()] };
    });
  const bytesOf = (array) => [...new Uint8Array(array.buffer)];

  test('names, metadata, shapes and types', async () => {
    const open = await WeightFile.open(layerFile);
    assert.deepEqual(open.names, [...names.map((name) => `a.${name}`), 'conv.weight']);
    assert.deepEqual({ ...open.metadata }, { format: 'pt' });
    assert.deepEqual(open.shapeOf('conv.weight'), [2, 2]);
    assert.equal(open.storedTypeOf('conv.weight'), 'F32');
    assert.equal(open.shapeOf('toString'), undefined);
    assert.equal(open.storedTypeOf('none'), undefined);
    await assertRejects(() => open.read('none'), ArgumentError, 'none');
    await assertRejects(() => open.read(5), ArgumentError, 'name');
    assertThrows(() => open.shapeOf(5), ArgumentError, 'name');
  });

  const cases = [
    ['F64', [2], bytesOf(Float64Array.of(1 / 3, -1e300)), [1 / 3, -1e300]],
    ['F32', [2, 1], bytesOf(Float32Array.of(0.5, -2)), [0.5, -2]],
    ['F16', [1], [0, 0x3c], [1]],
    ['BF16', [1], [0x80, 0x3f], [1]],
    ['F8_E4M3', [2], [0x38, 0xfe], [1, -448]],
    ['F8_E5M2', [2], [0x3c, 0xfb], [1, -57344]],
    ['I64', [2], bytesOf(BigInt64Array.of(-7n, 2n ** 40n)), [-7, 2 ** 40]],
    ['U64', [1], bytesOf(BigUint64Array.of(2n ** 63n)), [2 ** 63]],
    ['I32', [1], bytesOf(Int32Array.of(-(2 ** 31))), [-(2 ** 31)]],
    ['U32', [1], bytesOf(Uint32Array.of(2 ** 31)), [2 ** 31]],
    ['I16', [1], bytesOf(Int16Array.of(-5)), [-5]],
    ['U16', [1], bytesOf(Uint16Array.of(65535)), [65535]],
    ['I8', [1], [0x80], [-128]],
    ['U8', [1], [255], [255]],
    ['BOOL', [3], [0, 1, 1], [0, 1, 1]],
    ['F32', [], bytesOf(Float32Array.of(3)), [3]],
    ['F32', [0, 3], [], []],
  ];
  for (const [dtype, shape, bytes, values] of cases) {
    test(`${dtype} ${JSON.stringify(shape)}`, async () => {
      const expected = { dtype: dtype === 'F64' ? 'float64' : 'float32', shape, values };
      assert.deepEqual(await read(file(dtype, shape, bytes)), expected);
    });
  }

  test('a tensor of several parts of the staging memory', async () => {
    const values = Float32Array.from({ length: 700_001 }, (_, index) => index);
    const result = await read(file('F32', [values.length], values.buffer ? bytesOf(values) : []));
    assertSameBits(Float32Array.from(result.values), values, 'values');
  });

  test('integers that float32 cannot represent are an ArgumentError', async () => {
    const inexact = [
      ['I64', BigInt64Array.of(2n ** 24n + 1n)],
      ['I64', BigInt64Array.of(2n ** 63n - 1n)],
      ['U64', BigUint64Array.of(2n ** 64n - 1n)],
      ['I32', Int32Array.of(-16777217)],
      ['U32', Uint32Array.of(2 ** 32 - 1)],
    ];
    for (const [dtype, array] of inexact) {
      await assertRejects(() => read(file(dtype, [1], bytesOf(array))), ArgumentError, "'a'", 'float32');
    }
  });

  test('types without a conversion are listed, and reading one is a WeightsError', async () => {
    for (const [dtype, bytes] of Object.entries({
      F8_E8M0: 2,
      F4: 1,
      C64: 16,
      F8_E4M3FNUZ: 2,
      F8_E5M2FNUZ: 2,
    })) {
      const open = await WeightFile.open(file(dtype, [2], new Uint8Array(bytes)));
      assert.equal(open.storedTypeOf('a'), dtype);
      assert.deepEqual(open.shapeOf('a'), [2]);
      await assertRejects(() => open.read('a'), WeightsError, '"a"', dtype);
    }
    const rank9 = await WeightFile.open(file('F32', new Array(9).fill(1), [0, 0, 0, 0]));
    await assertRejects(() => rank9.read('a'), WeightsError, '"a"');
  });
});

describe('tensors that are not asked for', () => {
  test('may have any type, rank and size', async () => {
    const huge = 5 * 2 ** 30;
    const tensors = {
      ...fileTensors(),
      'other.scales': { dtype: 'U8', shape: [4], values: [1, 2, 3, 4] },
    };
    const text = new TextDecoder().decode(writeSafetensors(tensors).subarray(8));
    const header = JSON.parse(text.slice(0, text.lastIndexOf('}') + 1));
    header['other.scales'].dtype = 'F8_E8M0';
    const end = Math.max(...Object.values(header).map((entry) => entry.data_offsets[1]));
    header['other.huge'] = { dtype: 'U8', shape: [huge], data_offsets: [end, end + huge] };
    const name = save('huge.safetensors', '');
    writeFileSync(name, assembleFile(header, writeSafetensors(tensors).subarray(-end)));
    truncateSync(name, assembleFile(header).length + end + huge);
    await scoped(async (own) => {
      const file = await WeightFile.open(name);
      const result = await makeLayer(own).loadWeightsFrom(file, {
        mapping: (n) => (n[0] === 'o' ? null : n),
      });
      assert.deepEqual([result.loadedCount, result.skippedCount], [5, 2]);
      await assertRejects(() => file.read('other.huge'), WeightsError, 'other.huge');
      assert.deepEqual(file.shapeOf('other.huge'), [huge]);
    });
  });
});

describe('ends', () => {
  test('close: later reads are a DisposedError; the names stay', async () => {
    const file = await WeightFile.open(layerFile);
    file.close();
    file.close();
    assert.equal(file.names.length, 6);
    await assertRejects(() => file.read('conv.weight'), DisposedError, 'closed');
    await scoped((own) =>
      assertRejects(() => makeLayer(own).loadWeightsFrom(file, { prefix: 'a.' }), DisposedError),
    );
  });

  test('a signal: AbortedError with the reason', async () => {
    const reason = new Error('no longer needed');
    const aborted = async (work) => {
      const error = await work().then(assert.fail, (rejection) => rejection);
      assert.ok(error instanceof AbortedError && error instanceof attention.CrossAttentionError);
      assert.deepEqual([error.code, error.name, error.cause], ['ERR_ABORTED', 'AbortedError', reason]);
    };
    await aborted(() => WeightFile.open(layerPath, { signal: AbortSignal.abort(reason) }));
    const controller = new AbortController();
    const file = await WeightFile.open(layerPath, { signal: controller.signal });
    const read = file.read('conv.weight');
    controller.abort(reason);
    await aborted(() => read);
    await aborted(() => file.read('conv.weight'));
  });

  test('a layer that is disposed during the read is a DisposedError', async () => {
    const layer = makeLayer((object) => object);
    const loading = layer.loadWeightsFrom(await WeightFile.open(layerPath), { prefix: 'a.' });
    layer.dispose();
    await assertRejects(() => loading, DisposedError);
    await assertRejects(async () => layer.loadWeightsFrom(await WeightFile.open(layerPath)), DisposedError);
  });

  test('loadWeightsFrom and loadWeights name each other', () =>
    scoped(async (own) => {
      const layer = makeLayer(own);
      const file = await WeightFile.open(layerFile);
      assertThrows(() => layer.loadWeights(file), ArgumentError, 'loadWeightsFrom');
      await assertRejects(() => layer.loadWeightsFrom(layerFile), ArgumentError, 'loadWeights', 'WeightFile');
      await assertRejects(() => layer.loadWeightsFrom(file, { strict: 1 }), ArgumentError, 'strict');
    }));
});
