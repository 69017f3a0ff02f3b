// The site's pages in every browser, from the development server and as built files: they start, and draw or
// learn a picture.
import path from 'node:path';
import { newBrowser } from '../../support/browser/browsers.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';
import { buildSite } from '../../support/browser/site.mjs';
import { project } from '../../tools/lib/paths.mjs';

/** In seconds. */
const limit = 90;

/** The pages: the text that shows that it works, as an expression that is false until then. */
const pages = {
  'Text to image': { address: 'create/', isReady: "#status[data-status='finished']" },
  'Paint by attention': { address: 'paint/', isReady: '#psnr[data-value]' },
};

/** Where the pages come from: each returns an origin. */
const servers = {
  async 'development server'() {
    const { createServer } = await import('vite');
    const server = await createServer({
      configFile: path.join(project, 'web/vite.config.ts'),
      logLevel: 'error',
      server: { port: 0 },
    });
    await server.listen();
    return {
      origin: `http://localhost:${server.httpServer.address().port}`,
      close: () => server.close(),
    };
  },
  'built site': async () => serve(await buildSite(), isolationHeaders),
};

const running = new Map();

/** Starts a server or a browser once. */
function shared(name, start) {
  if (!running.has(name)) running.set(name, start());
  return running.get(name);
}

const seen = (selector) => `(() => {
  if (document.querySelector(${JSON.stringify(selector)}) === null) return null;
  const valueOf = (id) => document.getElementById(id).dataset.value;
  const threads = document.getElementById('runtime-threads');
  return {
    simd: valueOf('runtime-simd'),
    threads: Number(valueOf('runtime-threads')),
    threadsReason: threads.title || 'as the page shows',
  };
})()`;

async function visit(engine, from, { address, isReady }) {
  const { origin } = await shared(from, servers[from]);
  const browser = await shared(engine, () => newBrowser(engine));
  const page = await browser.open(`${origin}/${address}`);
  try {
    const end = performance.now() + limit * 1000;
    while (performance.now() < end) {
      const result = await page.evaluate(seen(isReady));
      if (result !== null) return { version: browser.version, ...result };
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const status = await page.evaluate("document.getElementById('status')?.textContent");
    throw new Error([`the page's status is "${status}" after ${limit} s`, ...page.problems].join(': '));
  } finally {
    await page.close();
  }
}

/** Ends the browsers and the servers. */
export async function close() {
  for (const each of running.values()) await (await each.catch(() => null))?.close();
  running.clear();
}

export const cases = Object.keys(servers).flatMap((from) =>
  Object.entries(pages).flatMap(([title, page]) =>
    ['Chromium', 'Firefox', 'WebKit'].map((engine) => ({
      group: 'Site',
      name: engine,
      conditions: `${from}, ${title}`,
      expected: { threads: 'several' },
      quick: false,
      run: () => visit(engine, from, page),
    })),
  ),
);
