/**
 * Threads need a page that is served with two headers, which many hosts of static files do not send. On such
 * hosts, a service worker (coi-serviceworker) adds them to the responses. Built pages register it if they are
 * not isolated; the development server sends the headers itself.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Plugin } from 'vite';
import { pathToRoot } from './site_header.ts';

const script = createRequire(import.meta.url).resolve('coi-serviceworker/coi-serviceworker.min.js');
/** In the root of the site, because a service worker handles its own folder and the folders below. */
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
      { tag: 'script', attrs: { src: `${pathToRoot(path.slice(1))}${fileName}` }, injectTo: 'head' },
    ],
  },
};
