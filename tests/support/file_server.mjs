// An HTTP server of one file, with the faults that servers have.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

/**
 * Starts a server on this machine that answers with `respond(request, response, {begin, end, number})`: the
 * requested range, or null, and the number of the request. Returns {url, requests: [{method, range, url}],
 * sent: bytes of bodies, close()}.
 */
export async function serve(respond) {
  const state = { requests: [], sent: 0 };
  const server = createServer((request, response) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    state.requests.push({ range: request.headers.range, url: request.url, headers: request.headers });
    const write = response.write.bind(response);
    response.write = (chunk, ...rest) => {
      state.sent += chunk.length;
      return write(chunk, ...rest);
    };
    response.finish = (chunk) => {
      if (chunk.length > 0) response.write(chunk);
      response.end();
    };
    const range = match && { begin: Number(match[1]), end: Number(match[2]) + 1 };
    respond(request, response, { range, number: state.requests.length });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${server.address().port}`;
  return Object.assign(state, {
    origin,
    url: `${origin}/model.safetensors`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

/** Answers with the requested range of a file, or all of it. `headers`: additional ones. */
export function answerRange(response, file, range, headers = {}) {
  if (range === null) {
    response.writeHead(200, { 'content-length': file.length, ...headers });
    return response.finish(file);
  }
  if (range.begin >= file.length) {
    response.writeHead(416, { 'content-range': `bytes */${file.length}` });
    return response.end();
  }
  const end = Math.min(range.end, file.length);
  response.writeHead(206, {
    'content-length': end - range.begin,
    'content-range': `bytes ${range.begin}-${end - 1}/${file.length}`,
    ...headers,
  });
  return response.finish(file.subarray(range.begin, end));
}

/** Answers with all of a file, whatever was requested. */
export function answerWhole(response, file, headers = {}) {
  response.writeHead(200, { 'content-length': file.length, ...headers });
  response.finish(file);
}

export function answerCompressed(response, file) {
  const body = gzipSync(file);
  response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length });
  response.finish(body);
}
