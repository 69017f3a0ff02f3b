// Every module that the development server and the built site serve parses as ES2022. WebKit and older
// versions of Firefox have no `using`: a page or a worker that contains it does not start there.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'acorn';
import { createServer } from 'vite';
import { buildSite } from '../../support/browser/site.mjs';
import { project } from '../../tools/lib/paths.mjs';

const pages = ['index.html', 'create/', 'paint/', 'bench.html'];

/** Asserts that `code` is an ES2022 module. */
function assertParses(code, file) {
  try {
    parse(code, { ecmaVersion: 2022, sourceType: 'module' });
  } catch (error) {
    assert.fail(`${file}: ${error.message}: ${code.split('\n')[error.loc?.line - 1]?.trim().slice(0, 200)}`);
  }
}

/** Addresses that a module or a page imports or starts as a worker, as the development server writes them. */
function addressesIn(code) {
  const patterns = [
    /\bfrom\s*["']([^"']+)["']/g,
    /\bimport\s*\(?\s*["']([^"']+)["']/g,
    /\bnew URL\(\s*(?:\/\*.*?\*\/\s*)?["']([^"']+)["']/g,
    /<script[^>]*\ssrc="([^"]+)"/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map(([, address]) => address));
}

test('the checker refuses newer syntax', () => {
  assert.throws(() => assertParses('{ using x = y(); }', 'x.js'), /x\.js: .*using/);
  assertParses('class A { #x = 1; static { await0(); } }\nconst await0 = () => {};\nawait 0;', 'y.js');
});

test('the development server serves ES2022', { timeout: 120_000 }, async (t) => {
  const server = await createServer({
    configFile: path.join(project, 'web/vite.config.ts'),
    logLevel: 'error',
    server: { port: 0 },
  });
  try {
    await server.listen();
    const { port } = server.httpServer.address();
    const origin = `http://localhost:${port}`;
    const seen = new Set();
    const queue = pages.map((page) => `${origin}/${page}`);
    let workers = 0;
    while (queue.length > 0) {
      const address = queue.pop();
      if (seen.has(address)) continue;
      seen.add(address);
      const response = await fetch(address);
      const type = response.headers.get('content-type') ?? '';
      const code = await response.text();
      const isPage = type.includes('html');
      if (!response.ok || !(isPage || type.includes('javascript'))) continue;
      if (!isPage) assertParses(code, address);
      if (address.includes('worker_file')) workers += 1;
      for (const found of addressesIn(code)) {
        if (!/^(\.|\/)/.test(found)) continue;
        const next = new URL(found, address);
        if (next.origin === origin) queue.push(next.href);
      }
    }
    t.diagnostic(`${seen.size} addresses, ${workers} workers`);
    assert.ok(seen.size > 100, `only ${seen.size} addresses were found`);
    assert.ok(workers >= 3, `only ${workers} workers were found`);
  } finally {
    await server.close();
  }
});

test('the built site is ES2022', async (t) => {
  const folder = await buildSite();
  const files = readdirSync(folder, { recursive: true }).filter((file) => /\.m?js$/.test(file));
  for (const file of files) assertParses(readFileSync(path.join(folder, file), 'utf8'), file);
  t.diagnostic(`${files.length} scripts`);
  assert.ok(files.length > 10, `only ${files.length} scripts`);
});
