// WeightFile over HTTP: Range requests, and servers with faults. Nothing hangs, and each error names the URL.
import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertError, assertRejects } from '../support/errors.mjs';
import { answerCompressed, answerRange, answerWhole, serve } from '../support/file_server.mjs';
import { AbortedError, DisposedError, memoryInUse, WeightFile, WeightsError } from '../support/package.mjs';
import { writeSafetensors } from '../support/safetensors.mjs';
import { fileTensors, makeLayer } from '../support/small_layer.mjs';

const servers = [];
after(() => Promise.all(servers.map((server) => server.close())));
afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

async function start(respond) {
  const server = await serve(respond);
  servers.push(server);
  return server;
}

const large = { dtype: 'F32', shape: [50_000], values: new Array(50_000).fill(0.5) };
const file = writeSafetensors({ before: large, ...fileTensors({}, 'a.'), after: large }, { format: 'pt' });
const changed = writeSafetensors({ before: large, ...fileTensors({}, 'a.'), more: large, after: large });
const layerBytes = 4 * (36 + 24 + 24 + 36 + 6);
const headerBytes = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));

/** Opens the URL, loads the layer, and checks the result. */
const load = (url, options) =>
  scoped(async (own) => {
    const open = await WeightFile.open(url, options);
    const layer = makeLayer(own);
    await layer.loadWeightsFrom(open, { prefix: 'a.' });
    const expected = makeLayer(own);
    expected.loadWeights(file, { prefix: 'a.' });
    assertSameBits(layer.getParameters(), expected.getParameters(), 'parameters');
    const tensor = own(await open.read('before'));
    assert.equal(tensor.size, 50_000);
    open.close();
  });

describe('servers with Range', () => {
  test('send the header and the tensors only; those of a layer in one request', async () => {
    const server = await start((_, response, { range }) => answerRange(response, file, range));
    await scoped(async (own) => {
      const open = await WeightFile.open(server.url);
      assert.equal(server.sent, headerBytes);
      await makeLayer(own).loadWeightsFrom(open, { prefix: 'a.' });
    });
    assert.equal(server.sent, headerBytes + layerBytes);
    assert.equal(server.requests.length, 3);
  });

  test('gaps of more than 1 % are not read; smaller ones are', async () => {
    const between = (count) => ({ dtype: 'U8', shape: [count], values: new Array(count).fill(0) });
    for (const [gap, requests] of [
      [5, 3],
      [6, 4],
    ]) {
      const entries = Object.entries(fileTensors());
      const tensors = Object.fromEntries([
        ...entries.slice(0, 2),
        ['gap', between(gap)],
        ...entries.slice(2),
      ]);
      const bytes = writeSafetensors(tensors);
      const server = await start((_, response, { range }) => answerRange(response, bytes, range));
      await scoped(async (own) => {
        const open = await WeightFile.open(server.url);
        const opened = server.sent;
        await makeLayer(own).loadWeightsFrom(open, { mapping: (name) => (name === 'gap' ? null : name) });
        assert.ok(server.sent - opened <= 1.01 * layerBytes, `${server.sent - opened} of ${layerBytes}`);
        assert.equal(server.requests.length, requests);
      });
    }
  });

  test('redirects, relative and absolute', async () => {
    const server = await start((request, response, { range }) => {
      if (request.url.startsWith('/final')) return answerRange(response, file, range);
      const location = request.url === '/model.safetensors' ? '/second' : `${server.origin}/final?token=1`;
      response.writeHead(302, { location });
      return response.end();
    });
    await load(server.url);
    const loop = await start((_, response) => response.writeHead(302, { location: '/again' }).end());
    await assertRejects(() => WeightFile.open(loop.url), WeightsError, loop.url);
  });

  test('headers of a fetch of your own', async () => {
    const server = await start((request, response, { range }) => {
      if (request.headers.authorization === 'Bearer x') return answerRange(response, file, range);
      return response.writeHead(401).end();
    });
    await assertRejects(() => WeightFile.open(server.url), WeightsError, server.url, '401');
    await load(server.url, {
      fetch: (url, options) =>
        fetch(url, { ...options, headers: { ...options.headers, authorization: 'Bearer x' } }),
    });
  });

  test('an index of shards; names with spaces', async () => {
    const entries = Object.entries(fileTensors({ before: large }, 'a.'));
    const parts = {
      'model 1.safetensors': writeSafetensors(Object.fromEntries(entries.slice(0, 3))),
      'sub/model-2.safetensors': writeSafetensors(Object.fromEntries(entries.slice(3))),
    };
    const map = Object.fromEntries(entries.map(([name], i) => [name, Object.keys(parts)[i < 3 ? 0 : 1]]));
    const server = await start((request, response, { range }) => {
      if (request.url.startsWith('/dir/model.safetensors.index.json')) {
        return answerWhole(response, Buffer.from(JSON.stringify({ metadata: {}, weight_map: map })));
      }
      const part = parts[decodeURIComponent(request.url.slice('/dir/'.length))];
      return part === undefined ? response.writeHead(404).end() : answerRange(response, part, range);
    });
    await load(`${server.origin}/dir/model.safetensors.index.json?download=true`);
    await load([`${server.origin}/dir/model%201.safetensors`, parts['sub/model-2.safetensors']]);
  });
});

describe('servers without usable ranges: the whole file is downloaded once', () => {
  const answers = {
    'no Range': (response) => answerWhole(response, file),
    'no Content-Length': (response) => {
      response.writeHead(200);
      response.finish(file);
    },
    gzip: (response) => answerCompressed(response, file),
    'gzip of a range': (response, range) => {
      if (range === null) return answerCompressed(response, file);
      const part = gzipSync(file).subarray(range.begin, range.end);
      response.writeHead(206, {
        'content-encoding': 'gzip',
        'content-range': `bytes ${range.begin}-${range.end - 1}/${gzipSync(file).length}`,
      });
      return response.finish(part);
    },
  };
  for (const [name, answer] of Object.entries(answers)) {
    test(name, async () => {
      const server = await start((_, response, { range }) => answer(response, range));
      await load(server.url);
      assert.ok(server.requests.length <= 2, `${server.requests.length} requests`);
    });
  }

  test('Range at first, the whole file later', async () => {
    const server = await start((_, response, { range, number }) =>
      number <= 2 ? answerRange(response, file, range) : answerWhole(response, file),
    );
    await load(server.url);
    assert.equal(server.requests.length, 3);
  });

  test('no size in Content-Range, or no Content-Range at all', async () => {
    for (const hide of [
      (headers) => ({ ...headers, 'content-range': headers['content-range'].replace(/\d+$/, '*') }),
      ({ 'content-range': _, ...headers }) => headers,
    ]) {
      const server = await start((_, response, { range }) => {
        const { writeHead } = response;
        response.writeHead = (status, headers) => writeHead.call(response, status, hide(headers));
        answerRange(response, file, range);
      });
      await load(server.url);
    }
  });
});

describe('faulty servers', () => {
  const html = Buffer.from('<!doctype html><title>Not found</title>');
  const part = (response, range, contentRange, body) => {
    response.writeHead(206, { 'content-range': contentRange, 'content-length': body.length });
    response.finish(body);
  };
  /** Each answers a request; parts of the message. */
  const faults = {
    'status 404': [(response) => response.writeHead(404).finish(html), '404'],
    'status 500': [(response) => response.writeHead(500).end(), '500'],
    'status 204': [(response) => response.writeHead(204).end(), '204'],
    'a page instead of the file': [(response) => answerWhole(response, html), 'not a safetensors file'],
    'an empty file': [(response, range) => answerRange(response, Buffer.alloc(0), range), '0 bytes'],
    'an empty file without Range': [(response) => answerWhole(response, Buffer.alloc(0)), '0 bytes'],
    'another range': [
      (response, range) =>
        part(
          response,
          range,
          `bytes 100-${99 + range.end - range.begin}/${file.length}`,
          file.subarray(100, 100 + range.end - range.begin),
        ),
      'bytes 100-107',
    ],
    'an invalid Content-Range': [
      (response, range) => part(response, range, 'bytes', file.subarray(range.begin, range.end)),
      "'bytes'",
    ],
    'a shorter range': [
      (response, range) => part(response, range, `bytes 0-3/${file.length}`, file.subarray(0, 4)),
      'bytes 0-3',
    ],
    'more bytes than the range': [
      (response, range) => {
        response.writeHead(206, { 'content-range': `bytes ${range.begin}-${range.end - 1}/${file.length}` });
        response.finish(file.subarray(range.begin, range.end + 9));
      },
      'more than the requested',
    ],
    'fewer bytes than the range': [
      (response, range) => {
        response.writeHead(206, { 'content-range': `bytes ${range.begin}-${range.end - 1}/${file.length}` });
        response.finish(file.subarray(range.begin, range.end - 1));
      },
      'interrupted',
    ],
    'a file that is too long without Range': [
      (response) => {
        response.writeHead(200);
        response.finish(Buffer.concat([file, html]));
      },
      `${file.length} bytes`,
    ],
    'a size that is too small': [
      (response, range) => answerRange(response, file.subarray(0, file.length - 7), range),
      'bytes of data',
    ],
    'a body without end': [
      (response) => {
        response.writeHead(200);
        response.write(file);
        const timer = setInterval(() => response.write(file), 1);
        response.on('close', () => clearInterval(timer));
      },
      `${file.length} bytes`,
    ],
    'a connection that breaks before the answer': [(response) => response.destroy(), 'could not be read'],
    'a Content-Length that is too large': [
      (response) => {
        response.writeHead(200, { 'content-length': file.length + 100 });
        response.write(file);
        setTimeout(() => response.destroy(), 20);
      },
      'interrupted',
      `${file.length + 100}`,
    ],
    'a body that is no gzip': [
      (response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' });
        response.finish(file);
      },
      'interrupted',
    ],
  };
  for (const [name, [answer, ...parts]] of Object.entries(faults)) {
    test(`${name} is a WeightsError`, async () => {
      const server = await start((_, response, { range }) => answer(response, range));
      await assertRejects(() => WeightFile.open(server.url), WeightsError, server.url, ...parts);
    });
  }

  test('no server, and no host', async () => {
    const server = await serve(() => {});
    await server.close();
    await assertRejects(() => WeightFile.open(server.url), WeightsError, server.url);
    await assertRejects(() => WeightFile.open('nothing:here'), WeightsError, 'nothing:here');
    await assertRejects(
      () => WeightFile.open('http://user:secret@127.0.0.1:1/a?key=secret'),
      WeightsError,
      /^(?!.*secret)/,
    );
  });

  const breaks = {
    'half of a range': (response, range) => {
      response.writeHead(206, {
        'content-range': `bytes ${range.begin}-${range.end - 1}/${file.length}`,
        'content-length': range.end - range.begin,
      });
      response.write(file.subarray(range.begin, range.begin + 1000));
    },
    'half of the whole file': (response) => {
      response.writeHead(200, { 'content-length': file.length });
      response.write(file.subarray(0, 1000));
    },
  };
  for (const [name, answer] of Object.entries(breaks)) {
    test(`a broken connection after ${name}: an error with the bytes; then a read succeeds`, async () => {
      let isBroken = true;
      const server = await start((_, response, { range, number }) => {
        if (number <= 2 || !isBroken) return answerRange(response, file, range);
        answer(response, range);
        return setTimeout(() => response.destroy(), 20);
      });
      const open = await WeightFile.open(server.url);
      await assertRejects(() => open.read('before'), WeightsError, server.url, 'interrupted after 1000 of');
      isBroken = false;
      await scoped(async (own) => own(await open.read('before')));
    });

    test(`no more bytes after ${name}: fails after the time limit`, async () => {
      const server = await start((_, response, { range, number }) =>
        number <= 2 ? answerRange(response, file, range) : answer(response, range),
      );
      const open = await WeightFile.open(server.url, { timeout: 100 });
      await assertRejects(
        () => open.read('before'),
        WeightsError,
        server.url,
        '1000 of',
        'no data for 0.1 s',
      );
    });
  }

  test('no answer: fails after the time limit, also if fetch ignores its signal', async () => {
    const server = await start(() => {});
    const options = { timeout: 100 };
    await assertRejects(
      () => WeightFile.open(server.url, options),
      WeightsError,
      server.url,
      'did not answer',
    );
    const never = () => new Promise(() => {});
    await assertRejects(
      () => WeightFile.open(server.url, { ...options, fetch: never }),
      WeightsError,
      server.url,
    );
  });

  test('a slow server is waited for as long as it sends', async () => {
    const server = await start((_, response, { range, number }) => {
      if (number <= 2) return answerRange(response, file, range);
      const { begin, end } = range;
      response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/${file.length}` });
      let at = begin;
      const timer = setInterval(() => {
        response.write(file.subarray(at, Math.min(end, at + 20_000)));
        at += 20_000;
        if (at < end) return;
        clearInterval(timer);
        response.end();
      }, 40);
      return timer;
    });
    const open = await WeightFile.open(server.url, { timeout: 200 });
    await scoped(async (own) => assert.equal(own(await open.read('before')).size, 50_000));
  });

  const versions = {
    'another ETag': [{ etag: '"1"' }, { etag: '"2"' }, file],
    'another date': [
      { 'last-modified': 'Mon, 30 Nov 2026 00:00:00 GMT' },
      { 'last-modified': 'Tue, 01 Dec 2026 00:00:00 GMT' },
      file,
    ],
    'another size': [{}, {}, changed],
  };
  for (const [name, [first, then, later]] of Object.entries(versions)) {
    test(`a file that changes: ${name}`, async () => {
      for (const answer of [answerRange, answerWhole]) {
        const server = await start((_, response, { range, number }) => {
          if (number <= 2) answerRange(response, file, range, first);
          else if (answer === answerWhole) answerWhole(response, later, then);
          else answerRange(response, later, range, then);
        });
        const open = await WeightFile.open(server.url);
        await assertRejects(() => open.read('before'), WeightsError, server.url, 'has changed');
      }
    });
  }

  test('the same ETag, weak or strong, is the same file', async () => {
    const server = await start((_, response, { range, number }) =>
      answerRange(response, file, range, { etag: number % 2 === 0 ? '"1"' : 'W/"1"' }),
    );
    await load(server.url);
  });

  test('a fetch that returns or throws anything', async () => {
    const throwing = () => {
      throw new Error('no network');
    };
    for (const wrong of [() => undefined, () => null, () => 5, async () => ({}), throwing]) {
      await assertRejects(() => WeightFile.open('http://x/y', { fetch: wrong }), WeightsError, 'http://x/y');
    }
  });
});

describe('ends', () => {
  const silent = (ready) => (_, response, context) => {
    if (context.number <= 2) return answerRange(response, file, context.range);
    return ready();
  };

  test('an abort ends requests: of open and of reads', async () => {
    const reason = { why: 'enough' };
    const first = new AbortController();
    const server = await start(() => first.abort(reason));
    const opening = await WeightFile.open(server.url, { signal: first.signal }).catch((error) => error);
    assertError(opening, AbortedError);
    assert.equal(opening.cause, reason);

    const second = new AbortController();
    const reading = await start(silent(() => second.abort(reason)));
    const open = await WeightFile.open(reading.url, { signal: second.signal });
    const error = await open.read('before').catch((rejection) => rejection);
    assertError(error, AbortedError);
    assert.equal(error.cause, reason);
  });

  test('close ends reads', async () => {
    const server = await start(silent(() => open.close()));
    const open = await WeightFile.open(server.url);
    await assertRejects(() => open.read('before'), DisposedError, 'closed');
    await scoped(async (own) => {
      const layer = makeLayer(own);
      const before = layer.getParameters();
      await assertRejects(() => layer.loadWeightsFrom(open, { prefix: 'a.' }), DisposedError);
      assertSameBits(layer.getParameters(), before, 'parameters');
    });
  });
});
