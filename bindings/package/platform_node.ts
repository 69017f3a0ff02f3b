// Node, and engines that have its modules: Deno, Bun. The only part of the package that imports them, with
// node_files.
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { openDiskFile } from './node_files';
import type { Platform, ThreadWorker } from './platform';

/**
 * Gives a worker thread the functions of a web worker, then runs a module's loader as a thread. The script of
 * the user does that itself.
 */
const adapter = `
  const { parentPort, workerData } = require('node:worker_threads');
  globalThis.self = globalThis;
  globalThis.postMessage = (message) => parentPort.postMessage(message);
  import(workerData).then(({ default: create }) => {
    create?.({ isThread: true });
    parentPort.on('message', (data) => globalThis.onmessage({ data }));
    parentPort.on('messageerror', () => { throw new Error('the module cannot be sent to a worker'); });
  });`;

const isUrl = (address: string): boolean => /^(https?|file|data|blob):/.test(address);

class NodeThread implements ThreadWorker {
  /** Set by the module's loader. */
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ThreadWorker['onerror'] = null;
  onmessageerror: ThreadWorker['onmessageerror'] = null;
  readonly #worker: Worker;

  constructor(url: string) {
    // Workers inherit the program's options (execArgv), and some of those (--input-type) prevent their start.
    this.#worker = new Worker(adapter, { eval: true, execArgv: [], workerData: url });
    this.#worker.on('message', (data) => this.onmessage?.({ data }));
    this.#worker.on('messageerror', (data) => this.onmessageerror?.({ data } as MessageEvent));
    this.#worker.on('error', (error) => {
      if (this.onerror === null) throw error;
      this.onerror(error as unknown as ErrorEvent);
    });
    this.#worker.on('exit', (code) =>
      this.onerror?.({ message: `it exited with code ${code}` } as ErrorEvent),
    );
  }

  postMessage(message: unknown): void {
    this.#worker.postMessage(message);
  }

  terminate(): void {
    void this.#worker.terminate();
  }

  unref(): void {
    this.#worker.unref();
  }
}

/** Returns the platform. It differs from the web's in files and workers. */
export const makePlatform = (web: Platform): Platform => ({
  cores: availableParallelism,

  async compile(url) {
    if (isUrl(url) && !url.startsWith('file:')) return web.compile(url);
    return WebAssembly.compile(await readFile(isUrl(url) ? fileURLToPath(url) : url));
  },

  openFile: openDiskFile,

  startThread({ loader, url }) {
    if (url === null && loader === null) {
      throw new Error('a bundler moved the worker script; leave the package out of the bundle');
    }
    if (url === null) return new NodeThread(`${loader}.js`);
    return new NodeThread(isUrl(url) ? url : pathToFileURL(url).href);
  },
});
