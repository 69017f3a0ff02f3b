/**
 * Threads need a page whose answers carry two headers, and many a host of static files sends none. There, a service worker
 * (coi-serviceworker) adds them to what it passes on. It is registered by the built pages, and only where a page is not
 * isolated already; development has the headers.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Plugin } from 'vite';
import { wayToRoot } from './site_header';

const script = createRequire(import.meta.url).resolve('coi-serviceworker/coi-serviceworker.min.js');
/** At the root: a service worker sees to what lies beside and below it. */
const fileName = 'coi-serviceworker.js';

export const isolationWorker: Plugin = {
  name: 'isolation-worker',
  apply: 'build',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName, source: readFileSync(script) });
  },
  transformIndexHtml: {
    order: 'post',
    handler: (_, { path }) => [
      { tag: 'script', attrs: { src: `${wayToRoot(path.slice(1))}${fileName}` }, injectTo: 'head' },
    ],
  },
};
