// Loaded by init if memory can be shared with workers.
import { messageOf } from './errors';
import type { Loader, Loading, Simd } from './module_sources';
import type { ThreadScript, ThreadWorker } from './platform';

/** Limit of the wait for the workers, in seconds: one that never answers must not block init. */
const maxWait = 15;

/** The URL of the page or worker. Bundlers make addresses that are relative to it. */
const here = (): string | undefined => globalThis.location?.href;

/** Starts a worker of a page, or of another worker. */
function startWebThread({ start, loader, url }: ThreadScript): ThreadWorker {
  const address = url ?? (loader && `${loader}-worker.js`);
  if (address === null) return start();
  const { href, origin, protocol } = new URL(address, here());
  // A worker's script must have the page's origin, but may import modules of other origins.
  if (protocol.startsWith('http') && origin !== globalThis.location?.origin) {
    const source = new Blob([`import ${JSON.stringify(href)}`], { type: 'text/javascript' });
    const blob = URL.createObjectURL(source);
    // It is needed until the worker has read it, at most for the time that init waits.
    setTimeout(() => URL.revokeObjectURL(blob), 1000 * maxWait);
    return new Worker(blob, { type: 'module' });
  }
  return url === null ? start() : new Worker(href, { type: 'module' });
}

/** Like startWebThread. Errors of engines ("The operation is insecure.") do not say what failed. */
function tryStartingWebThread(script: ThreadScript): ThreadWorker {
  try {
    return startWebThread(script);
  } catch (error) {
    const reason = messageOf(error);
    throw new Error(`a worker is forbidden or its script cannot be used: ${reason}`, { cause: error });
  }
}

/** Starts the threads of a module. Throws if a worker fails or does not answer; then no worker remains. */
export async function createThreads<C>(
  loading: Loading<C>,
  variant: `${Simd}-threads`,
  threads: number,
  loader: Loader<C>,
): Promise<C> {
  const { sources, platform, options, limited } = loading;
  const name = `${sources.name}-${variant}`;
  const wasmUrl = String(loader.wasmUrl());
  const script = {
    start: sources.workers[variant],
    loader: wasmUrl.endsWith(`/${name}.wasm`) ? wasmUrl.slice(0, -'.wasm'.length) : null,
    url: options.workerUrl && options.workerUrl.replace(/\/$/, `/${name}-worker.js`),
  };
  const started: ThreadWorker[] = [];
  let fail!: (error: Error) => void;
  const failure = new Promise<never>((_, reject) => (fail = reject));
  const createWorker = (): ThreadWorker => {
    const worker = (platform.startThread ?? tryStartingWebThread)(script);
    started.push(worker);
    worker.onerror = (event) => {
      // Otherwise, browsers write it to the console.
      event.preventDefault?.();
      fail(new Error(event.message || 'the worker script could not be loaded or is forbidden'));
    };
    worker.onmessageerror = () => fail(new Error('a message of a worker could not be read'));
    return worker;
  };
  try {
    const wasm = limited('the .wasm file did not arrive', loading.compile(variant, loader));
    // One worker for each thread besides the calling one, and one for forwards that run in the background.
    const created = loader.default({ wasm, workers: threads, createWorker });
    // No limit may wait for workers that failed: its timer would keep Node from ending.
    const settled = Promise.race([created, failure]);
    await Promise.race([wasm, settled]);
    const core = await limited('the workers did not start', settled, maxWait);
    for (const worker of started) {
      worker.onerror = worker.onmessageerror = null;
      worker.unref?.();
    }
    return core;
  } catch (error) {
    for (const worker of started) worker.terminate();
    throw error;
  }
}
